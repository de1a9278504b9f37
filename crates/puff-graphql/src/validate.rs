//! Documents in files against the schema, with all that is wrong with them: for tools, before anything runs.
//!
//! Files may share fragments. What is validated is what a client would send: the operations of a file with the
//! fragments that they need, wherever these are.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use apollo_compiler::ast::{Definition, Document, FragmentDefinition, OperationDefinition, Selection};
use apollo_compiler::collections::IndexMap;
use apollo_compiler::diagnostic::ToCliReport;
use apollo_compiler::parser::{FileId, Parser, SourceMap, SourceSpan};
use apollo_compiler::validation::{DiagnosticList, Valid};
use apollo_compiler::{ExecutableDocument, Name, Node};
use hashbrown::HashMap;

use crate::document::location;
use crate::error::{Location, RequestError, RequestErrorCode};
use crate::plan::Plan;
use crate::schema::Schema;

/// A file with a document.
#[derive(Debug, Clone, Copy)]
pub struct SourceDocument<'t> {
    /// What problems call the file.
    pub name: &'t str,
    /// The document.
    pub text: &'t str,
}

/// What documents have been found to be.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Validation {
    /// How many operations the files have.
    pub operations: usize,
    /// What is wrong, file by file and line by line.
    pub problems: Vec<DocumentProblem>,
}

/// One thing that is wrong with a document.
#[derive(Debug, Clone, PartialEq)]
pub struct DocumentProblem {
    /// The name of the file.
    pub file: String,
    /// The place in it; nothing is wrong anywhere in particular without.
    pub location: Option<Location>,
    /// The code that a request with this document would be refused with.
    pub code: RequestErrorCode,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for DocumentProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file)?;
        if let Some(Location { line, column }) = self.location {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {} [{}]", self.message, self.code.as_str())
    }
}

impl Schema {
    /// Validates the documents of `files`, which may use each other's fragments: by the rules of GraphQL, and each
    /// operation by the schema's limits. Fragments of a file itself come before those of others.
    ///
    /// ```
    /// use puff_graphql::{FieldResolver, ResolverId, ResolverKind, Schema, SchemaOptions, SourceDocument};
    ///
    /// let hello = FieldResolver {
    ///     type_name: "Query".into(),
    ///     field_name: "hello".into(),
    ///     kind: ResolverKind::Call(ResolverId(0)),
    /// };
    /// let schema = Schema::build("type Query { hello: String }", vec![hello], SchemaOptions::default())?;
    /// let files = [
    ///     SourceDocument { name: "a.graphql", text: "query A { ...Both }" },
    ///     SourceDocument { name: "both.graphql", text: "fragment Both on Query {\n  hello\n  helo\n}" },
    /// ];
    /// let found = schema.validate(&files);
    /// assert_eq!(found.operations, 1);
    /// assert_eq!(
    ///     found.problems[0].to_string(),
    ///     "both.graphql:3:3: type `Query` does not have a field `helo` [GRAPHQL_VALIDATION_FAILED]"
    /// );
    /// # Ok::<(), puff_graphql::SchemaError>(())
    /// ```
    pub fn validate(&self, files: &[SourceDocument<'_>]) -> Validation {
        let parsed = Files::parse(self, files);
        let mut problems = parsed.problems.clone();
        for (number, file) in parsed.files.iter().enumerate() {
            if let Some(file) = file {
                parsed.validate(self, number, file, &mut problems);
            }
        }
        let order: HashMap<&str, usize> = files.iter().map(|file| file.name).zip(0..).collect();
        problems.sort_by_key(|one| {
            let place = one.location.map(|place| (place.line, place.column));
            (order.get(one.file.as_str()).copied(), place, one.message.clone())
        });
        // What is wrong in a fragment is so for each file that uses it.
        problems.dedup();
        Validation {
            operations: parsed
                .files
                .iter()
                .flatten()
                .map(|file| file.operations().count())
                .sum(),
            problems,
        }
    }
}

/// One file that has parsed.
struct File {
    name: String,
    syntax: Document,
}

impl File {
    fn operations(&self) -> impl Iterator<Item = &Node<OperationDefinition>> {
        self.syntax
            .definitions
            .iter()
            .filter_map(Definition::as_operation_definition)
    }

    fn fragments(&self) -> impl Iterator<Item = &Node<FragmentDefinition>> {
        self.syntax
            .definitions
            .iter()
            .filter_map(Definition::as_fragment_definition)
    }
}

/// A fragment and the number of its file.
type Found<'f> = (usize, &'f Node<FragmentDefinition>);

/// All files.
struct Files {
    /// `None` for one that does not parse.
    files: Vec<Option<File>>,
    numbers: HashMap<FileId, usize>,
    sources: SourceMap,
    /// All fragments that some operation needs: the file and the name.
    used: BTreeSet<(usize, Name)>,
    problems: Vec<DocumentProblem>,
}

impl Files {
    fn parse(schema: &Schema, files: &[SourceDocument<'_>]) -> Files {
        let mut all = Files {
            files: Vec::with_capacity(files.len()),
            numbers: HashMap::default(),
            sources: SourceMap::default(),
            used: BTreeSet::new(),
            problems: Vec::new(),
        };
        let mut sources = IndexMap::default();
        for SourceDocument { name, text } in files {
            // A file may have many operations, and is its author's own: only what the stack must bear is bounded.
            let mut parser = Parser::new().recursion_limit(schema.options().max_recursion);
            let syntax = match parser.parse_ast(*text, *name) {
                Ok(syntax) => syntax,
                Err(invalid) => {
                    for found in invalid.errors.iter() {
                        let place = found.error.location();
                        all.problems.push(DocumentProblem {
                            file: (*name).to_owned(),
                            location: location(place, found.sources),
                            code: RequestErrorCode::ParseFailed,
                            message: found.error.to_string(),
                        });
                    }
                    all.files.push(None);
                    continue;
                }
            };
            let number = all.files.len();
            all.numbers.extend(syntax.sources.keys().map(|id| (*id, number)));
            sources.extend(syntax.sources.iter().map(|(id, source)| (*id, source.clone())));
            all.files.push(Some(File {
                name: (*name).to_owned(),
                syntax,
            }));
        }
        all.sources = Arc::new(sources);
        let mut used = BTreeSet::new();
        for (number, file) in all.files.iter().enumerate() {
            for operation in file.iter().flat_map(File::operations) {
                let needed = all.needed(number, [&operation.selection_set[..]]);
                used.extend(
                    needed
                        .fragments
                        .iter()
                        .map(|(file, fragment)| (*file, fragment.name.clone())),
                );
            }
        }
        all.used = used;
        all
    }

    /// The fragments called `name` that a spread in file `place` may mean, in a document of file `number`.
    fn find(&self, number: usize, place: usize, name: &Name) -> Vec<Found<'_>> {
        let in_file = |number: usize| {
            let file = self.files.get(number).and_then(Option::as_ref);
            let named = move |fragment: &&Node<FragmentDefinition>| fragment.name == *name;
            file.and_then(|file| file.fragments().find(named))
                .map(|found| (number, found))
        };
        match in_file(number).or_else(|| in_file(place)) {
            Some(found) => vec![found],
            None => (0..self.files.len()).filter_map(in_file).collect(),
        }
    }

    /// The fragments that `selections` of file `number` need.
    fn needed<'f>(
        &'f self,
        number: usize,
        selections: impl IntoIterator<Item = &'f [Selection]>,
    ) -> Needed<'f> {
        let mut needed = Needed::default();
        let mut names = BTreeSet::new();
        let mut left: Vec<(usize, &[Selection])> = selections.into_iter().map(|set| (number, set)).collect();
        while let Some((place, set)) = left.pop() {
            for selection in set {
                let spread = match selection {
                    Selection::Field(field) => {
                        left.push((place, field.selection_set.as_deref().unwrap_or_default()));
                        continue;
                    }
                    Selection::InlineFragment(inline) => {
                        left.push((place, &inline.selection_set));
                        continue;
                    }
                    Selection::FragmentSpread(spread) => spread,
                };
                if !names.insert(&spread.fragment_name) {
                    continue;
                }
                let found = self.find(number, place, &spread.fragment_name);
                // None is an error that the validator finds.
                let Some(one) = found.first().copied() else {
                    continue;
                };
                left.push((one.0, &one.1.selection_set));
                needed.fragments.push(one);
                if found.len() > 1 {
                    let files = found.iter().map(|(number, _)| *number).collect();
                    let name = spread.fragment_name.clone();
                    needed.unclear.push((name, spread.location(), files));
                }
            }
        }
        needed
    }

    fn validate(&self, schema: &Schema, number: usize, file: &File, problems: &mut Vec<DocumentProblem>) {
        // A fragment that others use is validated with them, and one that nobody uses here.
        let unused =
            |fragment: &&Node<FragmentDefinition>| !self.used.contains(&(number, fragment.name.clone()));
        let unused: Vec<_> = file.fragments().filter(unused).collect();
        let operations = file.operations().map(|operation| &operation.selection_set[..]);
        let own = operations.chain(unused.iter().map(|fragment| &fragment.selection_set[..]));
        let needed = self.needed(number, own);
        for (name, place, files) in &needed.unclear {
            let files = files
                .iter()
                .map(|number| self.name_of(*number))
                .collect::<Vec<_>>()
                .join(" and in ");
            let message = format!("the fragment `{name}` is in {files}: which one is meant is not clear");
            problems.push(self.problem(*place, message));
        }
        let others = |definition: &&Definition| definition.as_fragment_definition().is_none();
        let own = file.syntax.definitions.iter().filter(others).cloned();
        let fragments = unused
            .into_iter()
            .chain(needed.fragments.iter().map(|(_, fragment)| *fragment));
        let mut seen = BTreeSet::new();
        let fragments = fragments
            .filter(|fragment| seen.insert(fragment.location().map(|at| (at.file_id(), at.offset()))));
        let document = self.document(own.chain(fragments.cloned().map(Definition::FragmentDefinition)));
        if document.definitions.is_empty() {
            return;
        }
        match schema.inner.types.validated(&document) {
            Err(errors) => self.take_down(number, &errors, problems),
            Ok(valid) => {
                for operation in file.operations() {
                    if let Err(error) = self.plan(schema, number, operation, &valid) {
                        self.refused(number, operation, error, problems);
                    }
                }
            }
        }
    }

    /// Plans an operation of a document, which finds what is beyond the schema's limits.
    fn plan(
        &self,
        schema: &Schema,
        number: usize,
        operation: &Node<OperationDefinition>,
        document: &Valid<ExecutableDocument>,
    ) -> Result<(), RequestError> {
        let needed = self.needed(number, [&operation.selection_set[..]]);
        let fragments = needed
            .fragments
            .iter()
            .map(|(_, fragment)| Definition::FragmentDefinition((*fragment).clone()));
        let definitions = [Definition::OperationDefinition(operation.clone())]
            .into_iter()
            .chain(fragments);
        crate::limits::tree::check(&self.document(definitions), schema.options())?;
        let found = document.operations.get(operation.name.as_deref());
        match found {
            Ok(operation) => Plan::of(&schema.inner, document, operation, Duration::ZERO).map(drop),
            // The validator has seen to it that there is one.
            Err(_) => Ok(()),
        }
    }

    /// A document of these definitions, which knows the places in all files.
    fn document(&self, definitions: impl Iterator<Item = Definition>) -> Document {
        Document {
            sources: self.sources.clone(),
            definitions: definitions.collect(),
        }
    }

    fn take_down(&self, number: usize, errors: &DiagnosticList, problems: &mut Vec<DocumentProblem>) {
        for found in errors.iter() {
            let place = found.error.location();
            // Of another file's, whether a fragment is used shows there.
            if self.number_at(place) == Some(number)
                || found.error.unstable_error_name() != Some("UnusedFragment")
            {
                let message = found.error.to_string();
                problems.push(self.problem(place, message));
            }
        }
    }

    fn refused(
        &self,
        number: usize,
        operation: &Node<OperationDefinition>,
        error: RequestError,
        problems: &mut Vec<DocumentProblem>,
    ) {
        let needed = self.needed(number, [&operation.selection_set[..]]);
        let alone = needed.fragments.iter().all(|(file, _)| *file == number);
        for problem in error.problems {
            // The planner tells lines but not files: only of an operation that is in one file they are clear.
            let own = problem.locations.first().copied().filter(|_| alone);
            problems.push(DocumentProblem {
                file: self.name_of(number).to_owned(),
                location: own.or_else(|| location(operation.location(), &self.sources)),
                code: error.code,
                message: problem.message,
            });
        }
    }

    fn problem(&self, place: Option<SourceSpan>, message: String) -> DocumentProblem {
        let number = self.number_at(place);
        DocumentProblem {
            file: number.map_or("", |number| self.name_of(number)).to_owned(),
            location: location(place, &self.sources),
            code: RequestErrorCode::ValidationFailed,
            message,
        }
    }

    fn number_at(&self, place: Option<SourceSpan>) -> Option<usize> {
        self.numbers.get(&place?.file_id()).copied()
    }

    fn name_of(&self, number: usize) -> &str {
        let file = self.files.get(number).and_then(Option::as_ref);
        file.map_or("", |file| file.name.as_str())
    }
}

/// The fragments that a document needs of all files.
#[derive(Default)]
struct Needed<'f> {
    fragments: Vec<Found<'f>>,
    /// Spreads that may mean those of several files.
    unclear: Vec<(Name, Option<SourceSpan>, Vec<usize>)>,
}
