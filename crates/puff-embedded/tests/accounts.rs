//! Who runs the servers: root hands over, an ordinary user does it, a user without rights gets a clear word.

#![allow(
    clippy::unwrap_used,
    reason = "the helpers below are parts of tests, which fail by panicking"
)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;

use common::{Project, User, all_gone, is_root, sql};
use nix::unistd::User as Account;
use puff_embedded::{Service, State, acquire, reset, testing};

const BOTH: [Service; 2] = [Service::Postgres, Service::Valkey];

#[test]
fn another_program() {
    common::be_another_program();
}

/// A program that runs as another user, which only root can start.
fn run_as(uid: u32, gid: u32, project: &Path, tools: &Path, service: Service) -> User {
    let program = common::for_everyone(tools, &std::env::current_exe().unwrap());
    let supervisor = common::for_everyone(tools, Path::new(env!("CARGO_BIN_EXE_puff-supervisor")));
    let mut command = User::command_of(&program, project, service);
    command
        .env("PUFF_TEST_SUPERVISOR", supervisor)
        .env("PUFF_TEST_SITE_DIR", testing::site_dir());
    command
        .env_remove("XDG_RUNTIME_DIR")
        .current_dir("/")
        .uid(uid)
        .gid(gid);
    User::start(command)
}

/// Whether this test can run: as root, and with the wheels where every user can go.
fn can_switch_users() -> bool {
    let open = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.mode() & 0o001 != 0);
    let site = fs::canonicalize(testing::site_dir()).unwrap();
    let can = is_root() && site.ancestors().all(open);
    if !can {
        println!("skipped: needs root and a target directory that every user can enter");
    }
    can
}

fn nobody() -> Account {
    Account::from_name("nobody").unwrap().unwrap()
}

#[test]
fn an_ordinary_user_runs_the_servers_as_themselves() {
    if !can_switch_users() {
        return;
    }
    let (project, tools, nobody) = (Project::new(), Project::new(), nobody());
    chown(
        project.dir.path(),
        Some(nobody.uid.as_raw()),
        Some(nobody.gid.as_raw()),
    )
    .unwrap();
    for service in BOTH {
        let user = run_as(
            nobody.uid.as_raw(),
            nobody.gid.as_raw(),
            project.dir.path(),
            tools.dir.path(),
            service,
        );
        let state: State = serde_json::from_str(&user.outcome).unwrap_or_else(|_| panic!("{}", user.outcome));
        assert_eq!(state.uid, nobody.uid.as_raw());
        assert_eq!(
            fs::metadata(format!("/proc/{}", state.server_pid)).unwrap().uid(),
            nobody.uid.as_raw()
        );
        // Root in the same project is one more user of the same server.
        let root = project.acquire(service);
        assert_eq!(root.state().server_pid, state.server_pid);
        drop((user, root));
        all_gone(&state);
        // Root alone runs it for the owner, who can come back.
        let root = project.acquire(service);
        assert_eq!(root.state().uid, nobody.uid.as_raw());
        let state = root.state().clone();
        drop(root);
        all_gone(&state);
        let user = run_as(
            nobody.uid.as_raw(),
            nobody.gid.as_raw(),
            project.dir.path(),
            tools.dir.path(),
            service,
        );
        assert!(user.outcome.starts_with('{'), "{}", user.outcome);
    }
}

#[test]
fn root_hands_over_to_an_unprivileged_account() {
    if !is_root() {
        println!("skipped: needs root");
        return;
    }
    let project = Project::new();
    for service in BOTH {
        let lease = project.acquire(service);
        let server = fs::metadata(format!("/proc/{}", lease.state().server_pid)).unwrap();
        assert_ne!(server.uid(), 0);
        assert_eq!(server.uid(), lease.state().uid);
        let sockets = fs::metadata(&lease.state().socket_dir).unwrap();
        assert_eq!((sockets.uid(), sockets.mode() & 0o777), (server.uid(), 0o700));
        assert!(lease.state().data_dir.starts_with(project.dir.path()));
    }
}

#[test]
fn root_keeps_the_data_elsewhere_when_the_project_is_closed() {
    if !is_root() {
        println!("skipped: needs root");
        return;
    }
    let project = Project::new();
    fs::set_permissions(project.dir.path(), fs::Permissions::from_mode(0o700)).unwrap();
    for service in BOTH {
        let lease = project.acquire(service);
        let state = lease.state().clone();
        assert!(
            state.data_dir.starts_with("/var/lib/puff"),
            "{}",
            state.data_dir.display()
        );
        if service == Service::Postgres {
            assert_eq!(sql(&lease, "SELECT 1"), "1");
        }
        drop(lease);
        reset(&project.config(), service).unwrap();
        all_gone(&state);
        let left: Vec<_> = state
            .data_dir
            .ancestors()
            .filter(|dir| dir.exists())
            .take(1)
            .collect();
        assert_eq!(
            left,
            [Path::new("/var/lib/puff")],
            "reset takes the emptied folders with it"
        );
    }
    // Nobody's parents were opened for it.
    assert_eq!(fs::metadata(project.dir.path()).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn root_copies_programs_that_the_account_cannot_reach() {
    if !is_root() {
        println!("skipped: needs root");
        return;
    }
    let project = Project::new();
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let site = closed.path().join("site-packages");
    let status = std::process::Command::new("cp")
        .arg("-R")
        .arg(testing::site_dir())
        .arg(&site)
        .status()
        .unwrap();
    assert!(status.success());
    let mut config = project.config();
    config.search_dirs = vec![site];
    for service in BOTH {
        let lease = acquire(&config, service).unwrap();
        let program = lease.state().program.clone();
        assert!(program.starts_with("/var/lib/puff"), "{}", program.display());
        let state = lease.state().clone();
        drop(lease);
        all_gone(&state);
        let copy = program
            .ancestors()
            .find(|dir| dir.parent() == Some(Path::new("/var/lib/puff")))
            .unwrap();
        fs::remove_dir_all(copy).unwrap();
    }
}

#[test]
fn a_user_who_may_not_write_gets_a_clear_word() {
    if !can_switch_users() {
        return;
    }
    let (project, tools, nobody) = (Project::new(), Project::new(), nobody());
    let try_it = || {
        run_as(
            nobody.uid.as_raw(),
            nobody.gid.as_raw(),
            project.dir.path(),
            tools.dir.path(),
            Service::Postgres,
        )
    };
    let text = try_it().outcome.clone();
    assert!(
        text.contains("cannot create") && text.contains(".puff") && text.contains("Permission denied"),
        "{text}"
    );
    // The data of another user in a project of one's own.
    chown(
        project.dir.path(),
        Some(nobody.uid.as_raw()),
        Some(nobody.gid.as_raw()),
    )
    .unwrap();
    let state = project.acquire(Service::Postgres).state().clone();
    all_gone(&state);
    chown(state.data_dir.parent().unwrap(), Some(12345), Some(12345)).unwrap();
    let text = try_it().outcome.clone();
    assert!(text.contains("it belongs to user id 12345"), "{text}");
    chown(
        state.data_dir.parent().unwrap(),
        Some(nobody.uid.as_raw()),
        Some(nobody.gid.as_raw()),
    )
    .unwrap();
}

#[test]
fn a_user_id_without_an_entry_gets_a_clear_word() {
    if !can_switch_users() {
        return;
    }
    let (project, tools) = (Project::new(), Project::new());
    chown(project.dir.path(), Some(54321), Some(54321)).unwrap();
    let text = run_as(
        54321,
        54321,
        project.dir.path(),
        tools.dir.path(),
        Service::Postgres,
    )
    .outcome
    .clone();
    assert!(text.contains("the user id 54321 has no entry"), "{text}");
    let valkey = run_as(
        54321,
        54321,
        project.dir.path(),
        tools.dir.path(),
        Service::Valkey,
    );
    assert!(valkey.outcome.starts_with('{'), "{}", valkey.outcome);
}
