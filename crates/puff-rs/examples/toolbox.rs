//! Commands in Python with typed arguments, and commands in Rust that call Python. The Python module `toolbox`
//! lies in the working directory.

use std::path::PathBuf;

use puff_rs::clap::{Arg, ArgAction, ArgMatches, value_parser};
use puff_rs::errors::BoxError;
use puff_rs::prelude::*;
use puff_rs::program::Context;
use puff_rs::program::commands::{PythonCommand, RustCommand};
use puff_rs::runtime::{CallError, PythonFunction, Runtime};

/// Calls `toolbox.square` for each number at once, from as many tasks of Tokio.
async fn squares(context: Context, arguments: ArgMatches) -> Result<i32, BoxError> {
    let count = arguments.get_one::<u64>("count").copied().unwrap_or_default();
    let square = PythonFunction::named("toolbox:square");
    let tasks: Vec<_> = (0..count)
        .map(|number| {
            let call = context.runtime.call_python::<u64, _>(&square, (number,));
            context.runtime.spawn("square", call)
        })
        .collect();
    let mut sum = 0;
    for (number, task) in (0..).zip(tasks) {
        let found = task.await?.ok_or("a task panicked")??;
        if found != number * number {
            return Err(format!("the square of {number} came out as {found}").into());
        }
        sum += found;
    }
    println!("{sum}");
    Ok(0)
}

/// Text and bytes there and back.
async fn echo(context: Context, _: ArgMatches) -> Result<i32, BoxError> {
    let sent = (Text::from("Grüße"), Bytes::from_static(b"\x00\xff"));
    let (text, bytes): (Text, Bytes) = context.runtime.call_python("toolbox:echo", sent).await?;
    println!("{text} {bytes:?}");
    Ok(0)
}

/// Gives up calls: one under way, one of which nobody waits from the start.
async fn hurry(context: Context, _: ArgMatches) -> Result<i32, BoxError> {
    let slow = context
        .runtime
        .call_python::<PyObject, _>("toolbox:slow", ("asked",));
    // Long enough to begin, which imports the module.
    if tokio::time::timeout(Duration::from_secs(5), slow).await.is_ok() {
        return Err("the slow function was quick".into());
    }
    drop(
        context
            .runtime
            .call_python::<PyObject, _>("toolbox:slow", ("dropped",)),
    );
    let mut log: Vec<String> = Vec::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        log = context.runtime.call_python("toolbox:log", ()).await?;
        if !log.is_empty() && log.len().is_multiple_of(3) {
            break; // what has begun has been cleaned up
        }
    }
    println!("{}", log.join(" "));
    Ok(0)
}

/// Calls that fail, each in its way.
async fn fail(context: Context, arguments: ArgMatches) -> Result<i32, BoxError> {
    let function = arguments.get_one::<String>("function").map_or("", String::as_str);
    match context.runtime.call_python::<u64, _>(function, (-1,)).await {
        Ok(value) => println!("{value}"),
        Err(CallError::Raised { text, error }) => {
            println!("raised {text}");
            // The exception itself is Python's again where Python waits for Rust; here the program ends with it.
            return Err(CallError::Raised { text, error }.into());
        }
        Err(error) => println!("{error}"),
    }
    Ok(0)
}

/// Lets Python wait for Rust that waits for Python.
#[pyclass(frozen)]
struct Relay {
    runtime: Runtime,
}

#[pymethods]
impl Relay {
    fn call(&self, return_func: PyObject, function: Text) {
        let call = self.runtime.call_python::<PyObject, _>(&*function, (-1,));
        greenlet_async(return_func, async move { Ok(call.await?) });
    }

    /// Ready at once.
    fn quick(&self, return_func: PyObject, number: u64) {
        greenlet_async(return_func, async move {
            if number == 13 {
                return Err("thirteen".into());
            }
            assert!(number != 14, "fourteen");
            Ok(number)
        });
    }

    /// Ready at once, or after a turn of Tokio's, or computed for so many milliseconds.
    fn mixed(&self, return_func: PyObject, number: u64, turns: u32, milliseconds: u64) {
        greenlet_async(return_func, async move {
            for _ in 0..turns {
                tokio::task::yield_now().await;
            }
            if milliseconds > 0 {
                std::thread::sleep(Duration::from_millis(milliseconds));
            }
            Ok((number, std::thread::current().name() == Some("puff-tokio")))
        });
    }
}

/// Gives a Python function an object of Rust's, and prints what it returns.
async fn hand(context: Context, arguments: ArgMatches) -> Result<i32, BoxError> {
    let relay = Relay {
        runtime: context.runtime.clone(),
    };
    let function = arguments.get_one::<String>("function").map_or("", String::as_str);
    let text: Text = context.runtime.call_python(function, (relay,)).await?;
    println!("{text}");
    Ok(0)
}

/// Work that blocks, and work that panics.
async fn block(context: Context, _: ArgMatches) -> Result<i32, BoxError> {
    let answer = context.runtime.blocking(|| {
        std::thread::sleep(Duration::from_millis(20));
        42
    });
    println!("{}", answer.await?);
    context.runtime.blocking(|| panic!("on purpose")).await?;
    Ok(0)
}

/// Leaves work behind, of the kind that `kind` names, and ends with status 4.
async fn leave(context: Context, arguments: ArgMatches) -> Result<i32, BoxError> {
    const LONG: Duration = Duration::from_secs(60);
    let runtime = &context.runtime;
    let stop = runtime.shutdown().clone();
    match arguments.get_one::<String>("kind").map(String::as_str) {
        Some("waiting") => drop(runtime.spawn("refresh", std::future::pending::<()>())),
        Some("tidy") => drop(runtime.spawn("tidy", async move {
            stop.cancelled().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
            println!("tidied");
        })),
        Some("computing") => {
            // One for each thread of Tokio's, and one that never gets its turn. Not before the end: the program
            // would not learn of its own.
            for _ in 0..=runtime.tokio().metrics().num_workers() {
                let stop = stop.clone();
                drop(runtime.spawn("clog", async move {
                    stop.cancelled().await;
                    std::thread::sleep(LONG);
                }));
            }
        }
        Some("blocking") => drop(
            runtime
                .tokio()
                .spawn(runtime.blocking(|| std::thread::sleep(LONG))),
        ),
        Some("calling") => {
            let after = runtime.clone();
            drop(runtime.spawn("late", async move {
                stop.cancelled().await;
                match after.call_python::<PyObject, _>("toolbox:log", ()).await {
                    Ok(_) => println!("called"),
                    Err(error) => println!("{error}"),
                }
            }));
        }
        kind => return Err(format!("there is no such kind: {kind:?}").into()),
    }
    // Time for it to begin.
    tokio::time::sleep(Duration::from_millis(100)).await;
    Ok(4)
}

/// Runs until it is asked to stop.
async fn watch(context: Context, _: ArgMatches) -> Result<i32, BoxError> {
    println!("watching");
    context.runtime.shutdown().cancelled().await;
    println!("stopped");
    Ok(7)
}

fn main() -> ExitCode {
    let describe = PythonCommand::new("describe", "toolbox.describe")
        .about("Shows what Python gets")
        .arg(
            Arg::new("file")
                .required(true)
                .value_parser(value_parser!(PathBuf)),
        )
        .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue))
        .arg(
            Arg::new("limit")
                .long("limit")
                .value_parser(value_parser!(u32).range(1..)),
        )
        .arg(
            Arg::new("rate")
                .long("rate")
                .value_parser(value_parser!(f64))
                .default_value("0.5"),
        )
        .arg(Arg::new("tags").long("tag").action(ArgAction::Append));
    let count = Arg::new("count").value_parser(value_parser!(u64)).required(true);
    Program::new("toolbox")
        .about("Tools in two languages")
        .command(describe)
        .command(PythonCommand::new("raw", "toolbox.raw"))
        .command(PythonCommand::new("misfit", "toolbox.raw").arg(Arg::new("file").required(true)))
        .command(
            RustCommand::new("squares", squares)
                .about("Sums squares")
                .arg(count),
        )
        .command(RustCommand::new("echo", echo))
        .command(RustCommand::new("hurry", hurry))
        .command(RustCommand::new("fail", fail).arg(Arg::new("function").required(true)))
        .command(RustCommand::new("hand", hand).arg(Arg::new("function").required(true)))
        .command(RustCommand::new("block", block))
        .command(RustCommand::new("leave", leave).arg(Arg::new("kind").required(true)))
        .command(RustCommand::new("watch", watch))
        .run()
}
