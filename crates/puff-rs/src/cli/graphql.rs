//! `puff graphql`: the schema from the command line.

use std::io::Write;

use clap::{Arg, ArgMatches};
use http::{HeaderMap, HeaderName, HeaderValue};
use puff_graphql::{Outcome, Record, Request, SourceDocument, Value};
use puff_python::graphql::{GraphQl, NoSchema, RequestContext};

use crate::errors::{BoxError, ConfigError, ProgramError};
use crate::program::{Command, Invocation, Prepared};
use crate::settings::keys;

/// Prints the SDL, runs a query, shows what a query does, validates documents in files.
pub(super) struct GraphQlCommand;

impl Command for GraphQlCommand {
    fn cli(&self) -> clap::Command {
        let schema = keys::find("graphql").map(|key| key.arg().global(true));
        let name = Arg::new("name").long("schema").value_name("NAME").global(true).help(
            "The schema of this name, a table [graphql_schema.NAME] of puff.toml, instead of the default one",
        );
        let request = |command: clap::Command| {
            command
                .arg(
                    Arg::new("query")
                        .value_name("QUERY")
                        .required(true)
                        .help("The document; @FILE or - (stdin)"),
                )
                .arg(
                    Arg::new("variables")
                        .long("variables")
                        .value_name("JSON")
                        .help("Its variables, an object"),
                )
                .arg(
                    Arg::new("operation")
                        .long("operation")
                        .value_name("NAME")
                        .help("Which of its operations"),
                )
                .arg(
                    Arg::new("header")
                        .long("header")
                        .value_name("NAME:VALUE")
                        .num_args(1)
                        .action(clap::ArgAction::Append)
                        .help("A header for the resolvers' context, as HTTP would bring it"),
                )
        };
        clap::Command::new("graphql")
            .about("Prints the schema, runs a query, shows the layers and SQL of a query, validates documents")
            .subcommand_required(true)
            .args(schema)
            .arg(name)
            .subcommand(clap::Command::new("schema").about("Prints the schema in SDL"))
            .subcommand(request(clap::Command::new("query").about("Runs a query and prints the answer")))
            .subcommand(request(
                clap::Command::new("plan").about("Runs a query and prints its layers, statements and times"),
            ))
            .subcommand(
                clap::Command::new("validate")
                    .about("Says what is wrong with documents in files, which may use each other's fragments")
                    .arg(
                        Arg::new("file")
                            .value_name("FILE")
                            .required(true)
                            .num_args(1..)
                            .help("A document with its operations and fragments; - (stdin)"),
                    )
                    .after_help(
                        "Each line is FILE:LINE:COLUMN: MESSAGE [CODE]. The status is 0 if all is right, 1 if not, 2 \
                         if there is no such file or no schema.",
                    ),
            )
            .after_help(
                "Examples:\n  puff graphql schema --graphql shop.schema:Schema\n  puff graphql query '{ items { name } }'\n  \
                 puff graphql plan @queries/items.graphql --variables '{\"n\": 3}'\n  \
                 puff graphql validate queries/*.graphql",
            )
    }

    fn prepare(&self, invocation: &Invocation) -> Result<Prepared, ProgramError> {
        let schema = chosen(invocation)?;
        let (command, matches) = invocation.matches.subcommand().ok_or_else(|| {
            ConfigError::Usage("puff graphql needs a command; see 'puff graphql --help'".into())
        })?;
        Ok(match command {
            "schema" => with_schema(schema, |graphql| async move { print(graphql.sdl()) }),
            "query" => {
                let call = Call::parse(matches)?;
                with_schema(schema, |graphql| async move { call.query(&graphql).await })
            }
            "validate" => {
                let files = files(matches)?;
                with_schema(schema, |graphql| async move { validate(&graphql, &files) })
            }
            _ => {
                let call = Call::parse(matches)?;
                with_schema(schema, |graphql| async move { call.plan(&graphql).await })
            }
        })
    }
}

/// The name of the schema that is meant; the default one has none.
fn chosen(invocation: &Invocation) -> Result<Option<String>, ConfigError> {
    let Invocation { settings, matches } = invocation;
    let name = matches.get_one::<String>("name").cloned();
    let known = settings.schemas()?;
    let found = match &name {
        Some(name) => known.contains(name),
        None => settings.is_set("graphql"),
    };
    match NoSchema::among(name.as_deref(), known.iter()) {
        _ if found => Ok(name),
        NoSchema::None => Err(ConfigError::Missing(
            "no schema: name its class with --graphql pkg.mod:Schema (or in puff.toml)".into(),
        )),
        NoSchema::Default { known } => Err(ConfigError::Missing(format!(
            "no schema without a name: choose one with --schema, of {}",
            known.join(", ")
        ))),
        unknown => Err(ConfigError::Usage(unknown.to_string())),
    }
}

/// Goes on with the program's schema called `name`, or the default one; Ctrl-C ends it.
fn with_schema<F>(name: Option<String>, work: impl FnOnce(GraphQl) -> F + Send + 'static) -> Prepared
where
    F: Future<Output = Result<i32, BoxError>> + Send + 'static,
{
    Prepared::future(|context| async move {
        let graphql = context.runtime.schemas().get(name.as_deref())?.clone();
        let stop = context.runtime.shutdown().clone();
        tokio::select! {
            status = work(graphql) => status,
            () = stop.cancelled() => Ok(130),
        }
    })
}

/// A request from the command line.
struct Call {
    request: Request,
    headers: HeaderMap,
}

impl Call {
    fn parse(matches: &ArgMatches) -> Result<Call, ConfigError> {
        let mut request = Request::new(document(
            matches.get_one::<String>("query").map_or("", String::as_str),
        )?);
        if let Some(text) = matches.get_one::<String>("variables") {
            let Ok(Value::Object(variables)) = Value::from_json(text.as_bytes()) else {
                return Err(ConfigError::Invalid {
                    source_name: "--variables".into(),
                    value: text.clone(),
                    expected: "a JSON object",
                });
            };
            request.variables = variables.into_iter().collect();
        }
        request.operation_name = matches.get_one::<String>("operation").cloned();
        let mut headers = HeaderMap::new();
        for text in matches.get_many::<String>("header").into_iter().flatten() {
            let (name, value) = header(text).ok_or_else(|| ConfigError::Invalid {
                source_name: "--header".into(),
                value: text.clone(),
                expected: "of the form NAME:VALUE",
            })?;
            headers.append(name, value);
        }
        Ok(Call { request, headers })
    }

    async fn query(self, graphql: &GraphQl) -> Result<i32, BoxError> {
        let response = graphql
            .execute(self.request, RequestContext::new(self.headers))
            .await;
        print(&indented(&String::from_utf8_lossy(&response.body)))?;
        Ok(i32::from(response.outcome != Outcome::Executed { errors: 0 }))
    }

    async fn plan(mut self, graphql: &GraphQl) -> Result<i32, BoxError> {
        self.request.record = Record::Layers;
        let response = graphql
            .execute(self.request, RequestContext::new(self.headers))
            .await;
        match response.trace {
            Some(trace) => print(&trace.to_string())?,
            // Nothing ran: the answer says why.
            None => print(&String::from_utf8_lossy(&response.body))?,
        };
        Ok(i32::from(response.outcome != Outcome::Executed { errors: 0 }))
    }
}

/// The text of the document that the argument means.
fn document(argument: &str) -> Result<String, ConfigError> {
    match argument.strip_prefix('@') {
        _ if argument == "-" => read(argument),
        Some(file) => read(file),
        None => Ok(argument.to_owned()),
    }
}

/// What is in a file, or comes from stdin.
fn read(file: &str) -> Result<String, ConfigError> {
    let text = match file {
        "-" => std::io::read_to_string(std::io::stdin()),
        file => std::fs::read_to_string(file),
    };
    text.map_err(|error| ConfigError::File {
        file: name_of(file).into(),
        reason: error.to_string(),
    })
}

fn name_of(file: &str) -> &str {
    if file == "-" { "stdin" } else { file }
}

/// The names and texts of the files to validate.
fn files(matches: &ArgMatches) -> Result<Vec<(String, String)>, ConfigError> {
    let files = matches.get_many::<String>("file").into_iter().flatten();
    files
        .map(|file| Ok((name_of(file).to_owned(), read(file)?)))
        .collect()
}

/// Prints what is wrong with documents.
fn validate(graphql: &GraphQl, files: &[(String, String)]) -> Result<i32, BoxError> {
    let documents: Vec<_> = files
        .iter()
        .map(|(name, text)| SourceDocument { name, text })
        .collect();
    let found = graphql.validate(&documents);
    let mut out = std::io::stdout().lock();
    for problem in &found.problems {
        writeln!(out, "{problem}")?;
    }
    if found.problems.is_empty() {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let (operations, files) = (found.operations, files.len());
        writeln!(
            out,
            "OK: {operations} operation{} in {files} file{}",
            plural(operations),
            plural(files)
        )?;
    }
    Ok(i32::from(!found.problems.is_empty()))
}

fn header(text: &str) -> Option<(HeaderName, HeaderValue)> {
    let (name, value) = text.split_once(':')?;
    Some((name.trim().parse().ok()?, value.trim().parse().ok()?))
}

fn print(text: &str) -> Result<i32, BoxError> {
    writeln!(std::io::stdout().lock(), "{}", text.trim_end())?;
    Ok(0)
}

/// `json` with line breaks and indentation. A value tree would lose the order of the fields, which is the
/// query's own.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    let mut characters = json.chars().peekable();
    while let Some(character) = characters.next() {
        if in_string {
            out.push(character);
            in_string = escaped || character != '"';
            escaped = !escaped && character == '\\';
            continue;
        }
        let line = |out: &mut String, depth: usize| {
            out.push('\n');
            out.extend(std::iter::repeat_n("  ", depth));
        };
        match character {
            '{' | '[' => {
                out.push(character);
                if let Some(end) = characters.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(character);
            }
            ',' => {
                out.push(character);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' | '\n' | '\t' | '\r' => {}
            _ => {
                in_string = character == '"';
                out.push(character);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_indented_in_their_own_order() {
        let json = r#"{"b":[1,{"a":"x\\\"{,:"}],"a":[],"c":{}}"#;
        let expected = "{\n  \"b\": [\n    1,\n    {\n      \"a\": \"x\\\\\\\"{,:\"\n    }\n  ],\n  \"a\": [],\n  \"c\": {}\n}";
        assert_eq!(indented(json), expected);
    }

    #[test]
    fn headers_are_a_name_and_a_value() {
        let (name, value) = header("Authorization: Bearer a:b").unwrap();
        assert_eq!(
            (name.as_str(), value.to_str().unwrap()),
            ("authorization", "Bearer a:b")
        );
        assert!(header("no colon").is_none());
        assert!(header("bad name: x").is_none());
    }
}
