//! `puff new`: a project that runs.

mod name;
mod templates;

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction};

use self::templates::{File, Kind};
use crate::errors::{ConfigError, ProgramError};
use crate::program::{Command, Invocation, Prepared};

/// Makes the folder of a new project.
pub(super) struct NewCommand;

impl Command for NewCommand {
    fn cli(&self) -> clap::Command {
        let flag = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
        };
        clap::Command::new("new")
            .about("Makes a project that runs, in a new folder")
            .arg(
                Arg::new("name")
                    .value_name("NAME")
                    .required(true)
                    .allow_hyphen_values(true)
                    .help("The folder and the project; small letters, digits, - and _"),
            )
            .arg(flag("rust", "A Rust program, with the Python project in it"))
            .arg(flag("django", "A Django project, rather than a page and a GraphQL schema"))
            .after_help(
                "Examples:\n  puff new shop && cd shop && puff runserver\n  puff new blog --django\n  puff new kiosk --rust",
            )
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let matches = &invocation.matches;
        let name = matches.get_one::<String>("name").cloned().unwrap_or_default();
        let package =
            name::package(&name).map_err(|reason| ConfigError::Usage(format!("{name:?} {reason}")))?;
        let kind = Kind {
            rust: matches.get_flag("rust"),
            django: matches.get_flag("django"),
        };
        if Path::new(&name).symlink_metadata().is_ok() {
            return Err(exists(&name).into());
        }
        let files = templates::files(&name, &package, kind);
        Ok(Prepared::future(move |_| async move {
            let folder = PathBuf::from(&name);
            tokio::task::spawn_blocking(move || create(&folder, &files)).await??;
            tell(&name, kind);
            Ok(0)
        })
        .without_services())
    }
}

fn exists(name: &str) -> ConfigError {
    ConfigError::Usage(format!("{name} exists already; puff new makes a new folder"))
}

/// Writes the files into `folder`, which must not exist; of a failure nothing stays.
fn create(folder: &Path, files: &[File]) -> Result<(), ProgramError> {
    std::fs::create_dir(folder).map_err(|error| match error.kind() {
        // Somebody was faster than the check of the arguments.
        ErrorKind::AlreadyExists => exists(&folder.display().to_string()).into(),
        _ => failed(folder, &error),
    })?;
    for (path, text) in files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(&path, text));
        if let Err(error) = written {
            // The folder is ours, made a moment ago. What cannot be removed either is told by the error.
            let _ = std::fs::remove_dir_all(folder);
            return Err(failed(&path, &error));
        }
    }
    Ok(())
}

fn failed(path: &Path, error: &std::io::Error) -> ProgramError {
    ProgramError::Failed(format!("cannot write {}: {error}", path.display()))
}

fn tell(name: &str, kind: Kind) {
    let next = match (kind.rust, kind.django) {
        (true, _) => "README.md says how to build and run it",
        (false, true) => "puff django migrate && puff runserver",
        (false, false) => "puff runserver",
    };
    // A closed stdout does not undo the work.
    let _ = writeln!(std::io::stdout(), "made {name}; next: cd {name}, then {next}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_failure_nothing_stays() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("shop");
        let text = String::new();
        let files = [("a".to_owned(), text.clone()), ("a/b".to_owned(), text)];
        let error = create(&folder, &files).unwrap_err();
        assert!(error.to_string().starts_with("cannot write "), "{error}");
        assert!(!folder.exists());
    }

    #[test]
    fn a_folder_that_exists_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        let error = create(place.path(), &[]).unwrap_err();
        assert_eq!(error.exit_status(), 2);
        assert!(place.path().exists());
    }
}
