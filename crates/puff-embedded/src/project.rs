//! One service's files in one project's `.puff/`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::account::{Account, own_like};
use crate::binaries::Binaries;
use crate::{Error, Service, place};

/// Where the files of a service are, and who owns its data.
///
/// ```text
/// .puff/.gitignore
/// .puff/run/postgres.start.lock       exclusive: who starts or stops the service
/// .puff/run/postgres.users.lock       shared: everyone who uses it
/// .puff/run/postgres.supervisor.lock  exclusive: the supervisor, all its life
/// .puff/run/postgres.json             the state, while the service runs
/// .puff/log/postgres.log
/// .puff/postgres-18/data
/// .puff/valkey/
/// ```
#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) service: Service,
    pub(crate) account: Account,
    /// `.puff/`, absolute and without links.
    pub(crate) root: PathBuf,
}

impl Project {
    /// The project's files as they are; makes nothing. `None` when the project has never had services.
    pub(crate) fn find(project_dir: &Path, service: Service) -> Result<Option<Self>, Error> {
        let root = project_dir.join(".puff");
        match fs::canonicalize(&root) {
            Ok(root) if root.join("run").is_dir() => Self::at(root, service).map(Some),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::Io {
                action: "open",
                path: root,
                source,
            }),
        }
    }

    /// The project's files; makes `.puff/` if it is missing.
    pub(crate) fn open(project_dir: &Path, service: Service) -> Result<Self, Error> {
        let parent = fs::canonicalize(project_dir).map_err(Error::io("open", project_dir))?;
        place::text(&parent)?;
        let root = parent.join(".puff");
        for dir in [root.clone(), root.join("run"), root.join("log")] {
            if !dir.is_dir() {
                fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
                own_like(&dir, &parent);
                if nix::unistd::getuid().is_root() {
                    // The servers' account must be able to pass, whatever root's umask says.
                    let passable = fs::Permissions::from_mode(0o755);
                    fs::set_permissions(&dir, passable).map_err(Error::io("set the mode of", &dir))?;
                }
            }
        }
        let ignore = root.join(".gitignore");
        if !ignore.exists() {
            fs::write(&ignore, "*\n").map_err(Error::io("write", &ignore))?;
            own_like(&ignore, &parent);
        }
        let root = fs::canonicalize(&root).map_err(Error::io("open", &root))?;
        let project = Self::at(root, service)?;
        for path in [
            project.start_lock(),
            project.users_lock(),
            project.supervisor_lock(),
        ] {
            crate::lock::open(&path)?;
            own_like(&path, &parent);
        }
        Ok(project)
    }

    fn at(root: PathBuf, service: Service) -> Result<Self, Error> {
        // Existing data decides first: a user `postgres` that appears later must not lock out the data of `nobody`.
        let mut owned = data_dirs(&root, service);
        owned.extend(data_dirs(&root_base(&root), service));
        owned.extend(root.parent().map(Path::to_owned));
        let account = Account::choose(&owned.iter().map(PathBuf::as_path).collect::<Vec<_>>())?;
        Ok(Self {
            service,
            account,
            root,
        })
    }

    fn run(&self, suffix: &str) -> PathBuf {
        self.root
            .join("run")
            .join(format!("{}.{suffix}", self.service.name()))
    }

    pub(crate) fn start_lock(&self) -> PathBuf {
        self.run("start.lock")
    }

    pub(crate) fn users_lock(&self) -> PathBuf {
        self.run("users.lock")
    }

    pub(crate) fn supervisor_lock(&self) -> PathBuf {
        self.run("supervisor.lock")
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.run("json")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.root.join("log").join(format!("{}.log", self.service.name()))
    }

    /// Where the data directories of all versions lie: in `.puff/` unless the servers cannot live there.
    ///
    /// # Errors
    /// When there is no other place either.
    pub(crate) fn base(&self) -> Result<PathBuf, Error> {
        let on_network = is_network(&self.root);
        if !on_network && self.account.can_reach(&self.root) {
            return Ok(self.root.clone());
        }
        if self.account.is_dropped() {
            place::root_home()?;
            return Ok(root_base(&self.root));
        }
        let home = std::env::var_os("XDG_DATA_HOME")
            .map(PathBuf::from)
            .filter(|dir| dir.is_absolute());
        let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/share")));
        let home = home.filter(|dir| !is_network(dir)).ok_or_else(|| Error::UnsafeDirectory {
            path: self.root.clone(),
            problem: "it lies on a network file system, where a database is not safe, and neither $XDG_DATA_HOME \
                      nor $HOME names a better place"
                .to_owned(),
        })?;
        Ok(home.join("puff").join(base_name(&self.root)))
    }

    /// The data directory for these programs; PostgreSQL has one per major version and never converts.
    pub(crate) fn data(&self, binaries: &Binaries) -> Result<PathBuf, Error> {
        let base = self.base()?;
        Ok(match self.service {
            Service::Postgres => base.join(format!("postgres-{}", binaries.major())).join("data"),
            Service::Valkey => base.join("valkey"),
        })
    }

    /// Data directories of this service, of any version, that exist.
    pub(crate) fn existing_data(&self) -> Result<Vec<PathBuf>, Error> {
        Ok(data_dirs(&self.base()?, self.service))
    }
}

/// The place for a project that the servers' account cannot enter.
fn root_base(root: &Path) -> PathBuf {
    Path::new(crate::place::SYSTEM_DIR).join(base_name(root))
}

fn base_name(root: &Path) -> String {
    format!("project-{:016x}", place::fingerprint(&root.to_string_lossy()))
}

fn data_dirs(base: &Path, service: Service) -> Vec<PathBuf> {
    let ours = |name: &str| match service {
        Service::Postgres => name.starts_with("postgres-"),
        Service::Valkey => name == "valkey",
    };
    let entries = fs::read_dir(base).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_name().to_str().is_some_and(ours))
        .map(|entry| entry.path())
        .collect()
}

/// Whether a path lies on a file system whose locks, permissions or `fsync` a database cannot trust.
#[cfg(target_os = "linux")]
fn is_network(path: &Path) -> bool {
    // From linux/magic.h, as 32 bits, whatever the width and sign of the kernel's number: NFS, SMB1, SMB2, CIFS, 9P, Ceph, AFS, Coda, FUSE.
    const NETWORKS: [u32; 9] = [
        0x6969,
        0x517b,
        0xfe53_4d42,
        0xff53_4d42,
        0x0102_1997,
        0x00c3_6400,
        0x5346_414f,
        0x7375_7245,
        0x6573_5546,
    ];
    let Some(existing) = path.ancestors().find(|path| path.exists()) else {
        return false;
    };
    nix::sys::statfs::statfs(existing).is_ok_and(|fs| {
        let magic = (fs.filesystem_type().0 & 0xffff_ffff) as u32;
        NETWORKS.contains(&magic)
    })
}

#[cfg(not(target_os = "linux"))]
fn is_network(_path: &Path) -> bool {
    false
}
