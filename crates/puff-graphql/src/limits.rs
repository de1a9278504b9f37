//! Limits on a document as it is written, which hold before it is validated: that may take long.

use apollo_compiler::ast::{Definition, DirectiveList, Document, Selection};
use apollo_compiler::parser::SourceSpan;

use crate::document::location;
use crate::error::{RequestError, RequestErrorCode};
use crate::options::SchemaOptions;

/// Refuses a document with too many aliases or directives, at the first that is too many.
pub(crate) fn check(document: &Document, options: &SchemaOptions) -> Result<(), RequestError> {
    let mut counts = Counts {
        aliases: options.max_aliases,
        directives: options.max_directives,
    };
    let counted = document
        .definitions
        .iter()
        .try_for_each(|definition| match definition {
            Definition::OperationDefinition(operation) => {
                counts.directives(&operation.directives)?;
                counts.selections(&operation.selection_set)
            }
            Definition::FragmentDefinition(fragment) => {
                counts.directives(&fragment.directives)?;
                counts.selections(&fragment.selection_set)
            }
            _ => Ok(()),
        });
    counted.map_err(|(what, place)| {
        let most = if what == "aliases" {
            options.max_aliases
        } else {
            options.max_directives
        };
        let message = format!("the document has more than {most} {what}");
        let place = location(place, &document.sources);
        RequestError::at(RequestErrorCode::LimitExceeded, message, place)
    })
}

type Exceeded = (&'static str, Option<SourceSpan>);

/// How many more of each there may be.
struct Counts {
    aliases: usize,
    directives: usize,
}

impl Counts {
    /// The parser has bounded the nesting.
    fn selections(&mut self, selections: &[Selection]) -> Result<(), Exceeded> {
        for selection in selections {
            match selection {
                Selection::Field(field) => {
                    if let Some(alias) = &field.alias {
                        let left = self.aliases.checked_sub(1);
                        self.aliases = left.ok_or_else(|| ("aliases", alias.location()))?;
                    }
                    self.directives(&field.directives)?;
                    self.selections(field.selection_set.as_deref().unwrap_or_default())?;
                }
                Selection::InlineFragment(fragment) => {
                    self.directives(&fragment.directives)?;
                    self.selections(&fragment.selection_set)?;
                }
                Selection::FragmentSpread(spread) => self.directives(&spread.directives)?,
            }
        }
        Ok(())
    }

    fn directives(&mut self, directives: &DirectiveList) -> Result<(), Exceeded> {
        for directive in &directives.0 {
            let left = self.directives.checked_sub(1);
            self.directives = left.ok_or_else(|| ("directives", directive.location()))?;
        }
        Ok(())
    }
}
