//! Opens files of a folder, and none beyond it.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens what `relative` leads to, unless a link leads out of `folder`; that and nothing there at all is
/// [`io::ErrorKind::NotFound`]. It may be a folder.
///
/// `folder` is opened anew each time: builds and deployments replace it.
pub(super) fn open_beneath(folder: &Path, relative: &Path) -> io::Result<File> {
    // So that the folder itself has a name.
    let relative = if relative.as_os_str().is_empty() {
        Path::new(".")
    } else {
        relative
    };
    let opened = match by_kernel(folder, relative) {
        Some(opened) => opened,
        None => by_name(folder, relative),
    };
    opened.map_err(|error| match error.raw_os_error() {
        // Out of the folder, in a circle, through a file, by a name that no file can have.
        Some(
            nix::libc::EXDEV
            | nix::libc::ELOOP
            | nix::libc::ENOTDIR
            | nix::libc::ENAMETOOLONG
            | nix::libc::EINVAL,
        ) => io::ErrorKind::NotFound.into(),
        _ => error,
    })
}

/// A named pipe or a device must not be waited for.
const FLAGS: OFlag = OFlag::O_CLOEXEC.union(OFlag::O_NONBLOCK).union(OFlag::O_NOCTTY);

/// Linux checks each step on the way itself, so that nobody can exchange one meanwhile. `None` if this kernel or
/// the container around us does not know how.
#[cfg(target_os = "linux")]
fn by_kernel(folder: &Path, relative: &Path) -> Option<io::Result<File>> {
    use nix::errno::Errno;
    use nix::fcntl::{OpenHow, ResolveFlag, openat2};

    /// While something in the folder is renamed, the kernel may not be sure.
    const TRIES: usize = 8;
    let way = OFlag::O_PATH | OFlag::O_DIRECTORY;
    let root = match File::options().read(true).custom_flags(way.bits()).open(folder) {
        Ok(root) => root,
        Err(error) => return Some(Err(error)),
    };
    let how = OpenHow::new()
        .flags(FLAGS)
        .resolve(ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let mut error = Errno::EAGAIN;
    for _ in 0..TRIES {
        match openat2(&root, relative, how) {
            Ok(file) => return Some(Ok(File::from(file))),
            Err(Errno::ENOSYS | Errno::EPERM) => return None,
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            Err(other) => {
                error = other;
                break;
            }
        }
    }
    Some(Err(error.into()))
}

#[cfg(not(target_os = "linux"))]
fn by_kernel(_: &Path, _: &Path) -> Option<io::Result<File>> {
    None
}

/// Follows all links first, and looks where they lead. Somebody who may write to the folder could exchange a part
/// of the path between that and the opening.
fn by_name(folder: &Path, relative: &Path) -> io::Result<File> {
    let folder = folder.canonicalize()?;
    let real = folder.join(relative).canonicalize()?;
    if !real.starts_with(&folder) {
        return Err(io::ErrorKind::NotFound.into());
    }
    let flags = FLAGS | OFlag::O_NOFOLLOW;
    File::options().read(true).custom_flags(flags.bits()).open(real)
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::unix::fs::symlink;

    use super::*;

    type Open = fn(&Path, &Path) -> io::Result<File>;

    #[test]
    fn links_stay_inside() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        std::fs::create_dir_all(folder.join("inner")).unwrap();
        std::fs::write(folder.join("inner/a"), "inside").unwrap();
        std::fs::write(dir.path().join("secret"), "outside").unwrap();
        symlink("inner/a", folder.join("good")).unwrap();
        symlink("../secret", folder.join("bad")).unwrap();
        symlink("..", folder.join("inner/up")).unwrap();
        symlink("/etc", folder.join("etc")).unwrap();
        symlink("loop", folder.join("loop")).unwrap();
        let folder_link = dir.path().join("link");
        symlink("folder", &folder_link).unwrap();
        // Both ways, whichever this kernel takes.
        for open in [open_beneath as Open, by_name as Open] {
            for name in ["inner/a", "good", "inner/up/good"] {
                let mut text = String::new();
                open(&folder_link, Path::new(name))
                    .unwrap()
                    .read_to_string(&mut text)
                    .unwrap();
                assert_eq!(text, "inside");
            }
            for name in [
                "bad",
                "inner/up/bad",
                "etc/passwd",
                "inner/up/../secret",
                "loop",
                "missing",
            ] {
                assert!(open(&folder_link, Path::new(name)).is_err(), "{name}");
            }
        }
        for name in ["bad", "etc/passwd", "loop", "missing", "inner/a/b"] {
            let error = open_beneath(&folder, Path::new(name)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound, "{name}");
        }
        assert!(
            open_beneath(&folder, Path::new(""))
                .unwrap()
                .metadata()
                .unwrap()
                .is_dir()
        );
    }

    #[test]
    fn a_pipe_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pipe = open_beneath(dir.path(), Path::new("pipe")).unwrap();
        assert!(!pipe.metadata().unwrap().is_file());
    }
}
