//! Which folders are served, and how.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::Mount;
use super::name::has_hash;
use crate::errors::ConfigError;
use crate::settings::Settings;

/// The folders that a server serves without asking anybody; see [`StaticFiles::from_settings`].
#[derive(Debug, Clone)]
pub struct StaticFiles {
    /// The longest paths first.
    pub(super) mounts: Vec<Mount>,
    pub(super) index: Option<Arc<str>>,
    /// Whether the application is asked for what is no file.
    pub(super) fallthrough: bool,
    /// The value of `Cache-Control`.
    cache: HeaderValue,
    /// Paths below which no file ever changes.
    immutable: Vec<String>,
}

/// For files whose name has a hash of their content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");

impl StaticFiles {
    /// What the settings say; `None` if no folder is served.
    ///
    /// # Errors
    /// A value that does not parse, or a folder that cannot be read.
    pub fn from_settings(settings: &Settings) -> Result<Option<StaticFiles>, ConfigError> {
        let Some(mounts) = settings.get_with("static", mounts)? else {
            return Ok(None);
        };
        let max_age = settings.get_or("static_max_age", Duration::from_secs(60))?;
        let immutable = settings.get_with("static_immutable", paths)?;
        Ok(Some(StaticFiles {
            mounts,
            index: settings.get_with("static_index", file_name)?,
            fallthrough: settings.get_or("static_fallthrough", false)?,
            cache: cache_control(max_age),
            immutable: immutable.unwrap_or_default(),
        }))
    }

    /// Whether what they have for `/` is a page.
    pub(crate) fn have_front_page(&self) -> bool {
        self.index.is_some() && self.mounts.iter().any(|mount| mount.prefix.is_empty())
    }

    /// The `Cache-Control` of the file at `path`.
    pub(super) fn cache_of(&self, path: &str) -> HeaderValue {
        let below = |parent: &String| {
            path.strip_prefix(parent.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        };
        if has_hash(path) || self.immutable.iter().any(below) {
            FOR_EVER
        } else {
            self.cache.clone()
        }
    }
}

fn cache_control(max_age: Duration) -> HeaderValue {
    match max_age.as_secs() {
        0 => HeaderValue::from_static("no-cache"),
        seconds => HeaderValue::try_from(format!("public, max-age={seconds}"))
            .unwrap_or(HeaderValue::from_static("no-cache")),
    }
}

/// `/static=public, /=site`.
fn mounts(text: &str) -> Result<Vec<Mount>, String> {
    let mut mounts: Vec<Mount> = Vec::new();
    for entry in text.split(',').map(str::trim).filter(|entry| !entry.is_empty()) {
        let wrong = || format!("{entry:?} is not a path and a folder such as /static=public");
        let (path, folder) = entry.split_once('=').ok_or_else(wrong)?;
        let prefix = prefix(path).ok_or_else(wrong)?;
        let folder = PathBuf::from(folder.trim());
        if folder.as_os_str().is_empty() {
            return Err(wrong());
        }
        readable(&folder)?;
        if mounts.iter().any(|mount| mount.prefix == prefix) {
            return Err(format!("{} is there twice", path.trim()));
        }
        mounts.push(Mount {
            prefix,
            folder: Arc::new(folder),
        });
    }
    if mounts.is_empty() {
        return Err("there is no folder in it, such as /static=public".to_owned());
    }
    mounts.sort_by_key(|mount| std::cmp::Reverse(mount.prefix.len()));
    Ok(mounts)
}

/// The path of a mount without a slash at its end; `None` if it is none, or could be written in two ways.
fn prefix(path: &str) -> Option<String> {
    let path = path.trim();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte);
    let is_path = path.starts_with('/') && path.bytes().all(plain) && !path.contains("//");
    is_path.then(|| path.trim_end_matches('/').to_owned())
}

fn paths(text: &str) -> Result<Vec<String>, String> {
    text.split(',')
        .map(|path| {
            prefix(path).ok_or_else(|| format!("{:?} is not a path such as /static/assets", path.trim()))
        })
        .collect()
}

fn file_name(text: &str) -> Result<Arc<str>, String> {
    if text.is_empty() || text.starts_with('.') || text.contains('/') {
        return Err(format!("{text:?} is not the name of a file such as index.html"));
    }
    Ok(text.into())
}

fn readable(folder: &Path) -> Result<(), String> {
    match std::fs::read_dir(folder) {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot read the folder {}: {error}", folder.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_paths_and_folders() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().display();
        let parsed = mounts(&format!("/={folder}, /static/={folder},/static/img={folder}")).unwrap();
        let prefixes: Vec<_> = parsed.iter().map(|mount| mount.prefix.as_str()).collect();
        assert_eq!(prefixes, ["/static/img", "/static", ""]);
        assert_eq!(parsed[1].below("/static/a"), Some("/a"));
        assert_eq!(parsed[1].below("/static"), Some(""));
        assert_eq!(parsed[1].below("/statics"), None);
        for wrong in [
            "static=x", "/static", "/a b=x", "/static=", "//a=x", "/a%20=x", ",", "=x",
        ] {
            assert!(mounts(wrong).is_err(), "{wrong}");
        }
        let twice = mounts(&format!("/a={folder},/a/={folder}")).unwrap_err();
        assert_eq!(twice, "/a/ is there twice");
        let missing = mounts("/a=/nonexistent").unwrap_err();
        assert!(
            missing.starts_with("cannot read the folder /nonexistent: No such file"),
            "{missing}"
        );
    }

    #[test]
    fn caches_are_told_what_never_changes() {
        let files = StaticFiles {
            mounts: Vec::new(),
            index: None,
            fallthrough: false,
            cache: cache_control(Duration::from_secs(60)),
            immutable: paths("/static/assets/").unwrap(),
        };
        assert_eq!(files.cache_of("/static/a.css"), "public, max-age=60");
        assert_eq!(files.cache_of("/static/assetsx"), "public, max-age=60");
        assert_eq!(files.cache_of("/static/assets/index-BzDkYx.js"), FOR_EVER);
        assert_eq!(files.cache_of("/static/a.5af2b8c1d0e3.css"), FOR_EVER);
        assert_eq!(cache_control(Duration::ZERO), "no-cache");
    }
}
