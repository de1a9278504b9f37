//! What a document has too much of, file or request: aliases, directives, depth; and how long it would take to validate,
//! by estimate. Rules of the specification are about pairs: each
//! operation with each fragment that it reaches, each variable with each of its uses, each field with those of the
//! same name. A document of some kilobytes can make billions of such pairs.

use apollo_compiler::ast::{Argument, Definition, DirectiveList, Document, Selection, Value};
use apollo_compiler::parser::SourceSpan;
use apollo_compiler::{Name, Node};
use hashbrown::HashMap;

use crate::document::location;
use crate::error::{RequestError, RequestErrorCode};
use crate::options::SchemaOptions;

/// Most steps that validation may take; each is some nanoseconds.
const MAX_STEPS: usize = 1_000_000;

/// Refuses a document with too many aliases or directives, at the first that is too many, one whose fields are nested too
/// deeply, and one whose validation would take too long.
///
/// # Errors
/// [`RequestErrorCode::LimitExceeded`]
pub(crate) fn check<'d>(document: &'d Document, options: &SchemaOptions) -> Result<(), RequestError> {
    let exceeded = |message: String, place: Option<SourceSpan>| {
        let place = location(place, &document.sources);
        RequestError::at(RequestErrorCode::LimitExceeded, message, place)
    };
    let mut sum = Sum::new(options);
    let mut operations = Vec::new();
    let mut fragments = Vec::new();
    let mut names = HashMap::new();
    let mut place = None;
    for definition in &document.definitions {
        let mut body = |selections: &'d [Selection], directives: &DirectiveList| {
            let mut body = Body::default();
            let within = sum
                .directives(directives)
                .and_then(|()| sum.selections(selections, options.max_depth, &mut body));
            within
                .map(|()| body)
                .map_err(|(message, place)| exceeded(message, place))
        };
        match definition {
            Definition::OperationDefinition(operation) => {
                operations.push(body(&operation.selection_set, &operation.directives)?);
                place = place.or(operation.location());
                sum.variables = sum.variables.max(operation.variables.len());
            }
            Definition::FragmentDefinition(fragment) => {
                names.insert(&fragment.name, fragments.len());
                fragments.push(body(&fragment.selection_set, &fragment.directives)?);
            }
            _ => {}
        }
    }
    let too_long = |what: &str| {
        let message = format!("the document would take too long to check: it has too many {what}");
        exceeded(message, place)
    };
    if sum.variables.saturating_mul(sum.uses) > MAX_STEPS {
        return Err(too_long("uses of variables"));
    }
    if sum.fields.saturating_mul(sum.largest) > MAX_STEPS {
        return Err(too_long("fields beside one with a large argument"));
    }
    let graph = Graph::new(&fragments, &names);
    let mut budget = MAX_STEPS;
    let within = graph.spend(&operations, &names, &mut budget);
    within.ok_or_else(|| too_long("fragments that spread fragments"))
}

/// Why a document is refused, and where.
type Exceeded = (String, Option<SourceSpan>);

/// What the whole document has.
struct Sum<'o> {
    options: &'o SchemaOptions,
    aliases: usize,
    directives: usize,
    fields: usize,
    /// Of the operation that has most.
    variables: usize,
    /// Places where a variable stands.
    uses: usize,
    /// How many values the arguments of one field have at most.
    largest: usize,
}

/// What one definition has.
#[derive(Default)]
struct Body<'d> {
    selections: usize,
    spreads: Vec<&'d Name>,
}

impl<'o> Sum<'o> {
    fn new(options: &'o SchemaOptions) -> Self {
        Self {
            options,
            aliases: 0,
            directives: 0,
            fields: 0,
            variables: 0,
            uses: 0,
            largest: 0,
        }
    }

    /// Goes through selections that may have `depth` more levels of fields. The parser has bounded the nesting.
    fn selections<'d>(
        &mut self,
        selections: &'d [Selection],
        depth: usize,
        body: &mut Body<'d>,
    ) -> Result<(), Exceeded> {
        for selection in selections {
            body.selections += 1;
            match selection {
                Selection::Field(field) => {
                    self.fields += 1;
                    if let Some(alias) = &field.alias {
                        self.aliases += 1;
                        if self.aliases > self.options.max_aliases {
                            let most = self.options.max_aliases;
                            let message = format!("the document has more than {most} aliases");
                            return Err((message, alias.location()));
                        }
                    }
                    self.directives(&field.directives)?;
                    let values = self.arguments(&field.arguments);
                    self.largest = self.largest.max(values);
                    let Some(selections) = &field.selection_set else {
                        continue;
                    };
                    let below = match &*field.name {
                        // Introspection has a limit of its own.
                        "__schema" | "__type" => usize::MAX,
                        _ => depth.checked_sub(1).ok_or_else(|| {
                            let most = self.options.max_depth;
                            let message = format!("the operation is nested deeper than {most} fields");
                            (message, field.name.location())
                        })?,
                    };
                    self.selections(selections, below, body)?;
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.directives)?;
                    self.selections(&fragment.selection_set, depth, body)?;
                }
                Selection::FragmentSpread(spread) => {
                    self.directives(&spread.directives)?;
                    body.spreads.push(&spread.fragment_name);
                }
            }
        }
        Ok(())
    }

    fn directives(&mut self, directives: &DirectiveList) -> Result<(), Exceeded> {
        for directive in &directives.0 {
            self.directives += 1;
            if self.directives > self.options.max_directives {
                let message = format!(
                    "the document has more than {} directives",
                    self.options.max_directives
                );
                return Err((message, directive.location()));
            }
            self.arguments(&directive.arguments);
        }
        Ok(())
    }

    /// How many values there are in the arguments.
    fn arguments(&mut self, arguments: &[Node<Argument>]) -> usize {
        arguments
            .iter()
            .map(|argument| self.values(&argument.value))
            .sum()
    }

    fn values(&mut self, value: &Value) -> usize {
        match value {
            Value::List(items) => items.iter().map(|item| self.values(item)).sum::<usize>() + 1,
            Value::Object(fields) => fields.iter().map(|(_, value)| self.values(value)).sum::<usize>() + 1,
            Value::Variable(_) => {
                self.uses += 1;
                1
            }
            _ => 1,
        }
    }
}

/// Which fragments spread which.
struct Graph {
    /// Of each fragment: what it has itself, and the fragments that it spreads.
    fragments: Vec<(usize, Vec<usize>)>,
}

impl Graph {
    fn new(bodies: &[Body<'_>], names: &HashMap<&Name, usize>) -> Self {
        let fragment = |body: &Body<'_>| (body.selections, spread(body, names));
        Self {
            fragments: bodies.iter().map(fragment).collect(),
        }
    }

    /// Takes off `budget` what validation does: each operation goes through what it reaches, and each fragment that
    /// it reaches goes once more through all that it reaches, in search of circles. `None` if that is too much.
    fn spend(
        &self,
        operations: &[Body<'_>],
        names: &HashMap<&Name, usize>,
        budget: &mut usize,
    ) -> Option<()> {
        let mut seen = vec![0; self.fragments.len()];
        let mut round = 0;
        let mut reach = |from: &[usize], budget: &mut usize| {
            round += 1;
            let mut open = from.to_vec();
            let mut reached = Vec::new();
            while let Some(number) = open.pop() {
                if std::mem::replace(&mut seen[number], round) == round {
                    continue;
                }
                let (selections, spreads) = &self.fragments[number];
                *budget = budget.checked_sub(1 + selections)?;
                open.extend(spreads);
                reached.push(number);
            }
            Some(reached)
        };
        // What each fragment costs is the same for all operations.
        let mut costs = vec![None; self.fragments.len()];
        for body in operations {
            *budget = budget.checked_sub(body.selections)?;
            for number in reach(&spread(body, names), budget)? {
                let cost = match costs[number] {
                    Some(cost) => cost,
                    None => {
                        let before = *budget;
                        let mut left = before;
                        reach(&self.fragments[number].1, &mut left)?;
                        *costs[number].insert(before - left)
                    }
                };
                *budget = budget.checked_sub(cost)?;
            }
        }
        Some(())
    }
}

/// The fragments that a body spreads, each once, those that exist.
fn spread(body: &Body<'_>, names: &HashMap<&Name, usize>) -> Vec<usize> {
    let mut numbers: Vec<usize> = body
        .spreads
        .iter()
        .filter_map(|name| names.get(name).copied())
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}
