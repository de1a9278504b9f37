//! Which files have changed: those that the program consists of, for development.
//!
//! The files are looked at again and again. The kernel could tell (inotify), but not for folders that are
//! mounted from another system, as in containers and virtual machines on developers' computers; and a thousand
//! looks take about two milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Most files in the folders of `reload_paths`.
const MOST_FILES: usize = 20_000;

/// What tells one state of a file from another; `None` for a file that is not there.
type Stamp = Option<(SystemTime, u64, u64)>;

/// Files that are watched.
#[derive(Debug, Default)]
pub(super) struct Watch {
    files: BTreeMap<PathBuf, Stamp>,
    /// Files and folders whose contents are watched as a whole.
    roots: Vec<PathBuf>,
    /// The folders of the files, while a file that is missing may come into one of them.
    folders: BTreeMap<PathBuf, Stamp>,
}

impl Watch {
    /// Watches `files`, whether they exist or not, and all that is in `roots`.
    pub(super) fn new(files: impl IntoIterator<Item = PathBuf>, roots: Vec<PathBuf>) -> Watch {
        let mut watch = Watch {
            roots,
            ..Watch::default()
        };
        watch.add(files, None);
        watch.add(watch.contents(), None);
        watch
    }

    /// Watches more files. One that has changed after `since` has changed.
    pub(super) fn add(&mut self, files: impl IntoIterator<Item = PathBuf>, since: Option<SystemTime>) {
        for file in files {
            let state = stamp(&file);
            // A time that is still to come says nothing.
            let within = |since| state.is_some_and(|(time, ..)| time > since && time <= SystemTime::now());
            let fresh = since.is_some_and(within);
            // A stamp that no file has makes the next look find a change.
            self.files.entry(file).or_insert(if fresh { None } else { state });
        }
    }

    /// Watches the folders as well, or does not any more: programs write into them as they run.
    pub(super) fn watch_folders(&mut self, on: bool) {
        let folders: BTreeSet<&Path> = match on {
            true => self.files.keys().filter_map(|file| file.parent()).collect(),
            false => BTreeSet::new(),
        };
        self.folders = folders
            .into_iter()
            .map(|folder| (folder.to_owned(), stamp(folder)))
            .collect();
    }

    /// A file that has changed since the last look, or since it is watched. The look forgets all changes.
    pub(super) fn changed(&mut self) -> Option<PathBuf> {
        let mut changed = None;
        for (file, known) in self.files.iter_mut().chain(&mut self.folders) {
            let now = stamp(file);
            if now != *known {
                *known = now;
                changed.get_or_insert_with(|| file.clone());
            }
        }
        if !self.roots.is_empty() {
            for file in self.contents() {
                if !self.files.contains_key(&file) {
                    self.files.insert(file.clone(), stamp(&file));
                    changed.get_or_insert(file);
                }
            }
        }
        changed
    }

    /// The files in the roots, without those in hidden folders.
    fn contents(&self) -> Vec<PathBuf> {
        let mut open: Vec<PathBuf> = self.roots.clone();
        let mut found = Vec::new();
        while let Some(path) = open.pop() {
            if found.len() >= MOST_FILES {
                break;
            }
            match fs::read_dir(&path) {
                Ok(entries) => open.extend(entries.flatten().map(|entry| entry.path()).filter(|path| {
                    let name = path.file_name().unwrap_or_default().to_string_lossy();
                    !name.starts_with('.') && name != "__pycache__"
                })),
                Err(_) => found.push(path),
            }
        }
        found
    }
}

fn stamp(path: &Path) -> Stamp {
    let data = fs::metadata(path).ok()?;
    Some((data.modified().ok()?, data.len(), data.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::write(path("a.py"), "1").unwrap();
        fs::create_dir(path("templates")).unwrap();
        let mut watch = Watch::new([path("a.py"), path("later.py")], vec![path("templates")]);
        assert_eq!(watch.changed(), None);
        fs::write(path("a.py"), "12").unwrap();
        assert_eq!(watch.changed(), Some(path("a.py")));
        assert_eq!(watch.changed(), None);
        fs::write(path("later.py"), "").unwrap();
        assert_eq!(watch.changed(), Some(path("later.py")));
        fs::remove_file(path("a.py")).unwrap();
        assert_eq!(watch.changed(), Some(path("a.py")));
        fs::write(path("templates/new.html"), "").unwrap();
        assert_eq!(watch.changed(), Some(path("templates/new.html")));
        assert_eq!(watch.changed(), None);
    }

    #[test]
    fn what_changed_before_it_was_watched_counts() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.py");
        fs::write(&file, "1").unwrap();
        let mut watch = Watch::default();
        watch.add([file.clone()], Some(SystemTime::UNIX_EPOCH));
        assert_eq!(watch.changed(), Some(file));
        assert_eq!(watch.changed(), None);
    }

    #[test]
    fn a_missing_module_comes_into_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let mut watch = Watch::new([dir.path().join("puff.toml")], Vec::new());
        watch.watch_folders(true);
        assert_eq!(watch.changed(), None);
        fs::write(dir.path().join("missing.py"), "").unwrap();
        assert_eq!(watch.changed(), Some(dir.path().to_owned()));
        watch.watch_folders(false);
        fs::write(dir.path().join("data"), "").unwrap();
        assert_eq!(watch.changed(), None);
    }
}
