//! Literals of documents and schemas as templates.

use std::cell::RefCell;
use std::sync::Arc;

use apollo_compiler::Node;
use apollo_compiler::ast::{InputValueDefinition, Type, Value as Literal};
use apollo_compiler::parser::SourceMap;
use apollo_compiler::schema::ExtendedType;
use hashbrown::HashMap;

use super::{Check, Input, Template, default_value};
use crate::backend::Given;
use crate::document::{TypeSystem, location};
use crate::error::{RequestError, RequestErrorCode};
use crate::json::number;
use crate::value::Value;

/// Deepest nesting of values, defaults within defaults included.
const MAX_NESTING: usize = 200;

/// Compiles literals; they come from valid documents, so types fit already.
pub(super) struct Compiler<'c> {
    pub(super) types: &'c TypeSystem,
    /// The numbers of variables; `None` where no variable may occur.
    pub(super) variables: Option<&'c HashMap<&'c str, usize>>,
    /// `None` for literals of the schema, whose author has checked them.
    pub(super) literals: Option<&'c Literals<'c>>,
}

/// The literals of one document that the backend is to check.
pub(in crate::plan) struct Literals<'d> {
    pub(super) sources: &'d SourceMap,
    checks: RefCell<Vec<Check>>,
}

impl<'d> Literals<'d> {
    pub(in crate::plan) fn new(sources: &'d SourceMap) -> Self {
        Self {
            sources,
            checks: RefCell::default(),
        }
    }

    pub(in crate::plan) fn take(&self) -> Vec<Check> {
        self.checks.take()
    }

    fn add(&self, scalar: &Arc<str>, literal: &Node<Literal>, value: &Value) {
        let location = location(literal.location(), self.sources);
        let mut checks = self.checks.borrow_mut();
        // A field is compiled once for each object type that has it.
        if checks.last().is_none_or(|last| last.location != location) {
            checks.push(Check {
                place: None,
                location,
                given: Given {
                    scalar: scalar.clone(),
                    value: value.clone(),
                },
            });
        }
    }
}

impl Compiler<'_> {
    /// The inputs that `definitions` declare, given by `given`.
    pub(super) fn inputs<'d, 'l>(
        &self,
        definitions: impl IntoIterator<Item = &'d Node<InputValueDefinition>>,
        given: impl Fn(&str) -> Option<&'l Node<Literal>>,
        nesting: usize,
    ) -> Result<Vec<Input>, RequestError> {
        let compile = |definition: &Node<InputValueDefinition>| {
            let given = match given(&definition.name) {
                Some(literal) => Some(self.template(&definition.ty, literal, nesting)?),
                None => None,
            };
            Ok(Input {
                name: definition.name.as_str().into(),
                given,
                default: default_value(self.types, definition, nesting + 1)?,
                non_null: definition.ty.is_non_null(),
            })
        };
        definitions.into_iter().map(compile).collect()
    }

    /// A literal in which no variable occurs.
    pub(super) fn constant(
        &self,
        declared: &Type,
        literal: &Node<Literal>,
        nesting: usize,
    ) -> Result<Value, RequestError> {
        let value = self.template(declared, literal, nesting)?.evaluate(&[]);
        let invalid = |message: String| RequestError::new(RequestErrorCode::ValidationFailed, message);
        Ok(value
            .map_err(|error| invalid(error.message))?
            .unwrap_or(Value::Null))
    }

    fn template(
        &self,
        declared: &Type,
        literal: &Node<Literal>,
        nesting: usize,
    ) -> Result<Template, RequestError> {
        if nesting > MAX_NESTING {
            return Err(RequestError::new(
                RequestErrorCode::LimitExceeded,
                "input values are nested too deeply",
            ));
        }
        if let Literal::Null = **literal {
            return Ok(Template::Constant(Value::Null));
        }
        if let Literal::Variable(name) = &**literal {
            let slot = self.variables.and_then(|variables| variables.get(name.as_str()));
            let unknown = || {
                let message = format!("variable `${name}` is not defined");
                RequestError::new(RequestErrorCode::ValidationFailed, message)
            };
            return slot.map(|slot| Template::Variable(*slot)).ok_or_else(unknown);
        }
        let type_name = match declared {
            Type::List(item) | Type::NonNullList(item) => {
                let one = std::slice::from_ref(literal);
                let items = if let Literal::List(items) = &**literal {
                    items
                } else {
                    one
                };
                let items = items
                    .iter()
                    .map(|literal| self.template(item, literal, nesting + 1));
                let items = items.collect::<Result<Vec<_>, _>>()?;
                return Ok(folded(Template::List {
                    items,
                    nullable: !item.is_non_null(),
                }));
            }
            Type::Named(name) | Type::NonNullNamed(name) => name,
        };
        match (self.types.type_named(type_name), &**literal) {
            (Some(ExtendedType::InputObject(object)), Literal::Object(given)) => {
                let find = |name: &str| {
                    given
                        .iter()
                        .find(|(known, _)| known == name)
                        .map(|(_, literal)| literal)
                };
                let mut fields = self.inputs(object.fields.values(), find, nesting + 1)?;
                if object.is_one_of() {
                    fields.retain(|field| field.given.is_some());
                }
                Ok(folded(Template::Object {
                    fields,
                    one_of: object.is_one_of(),
                }))
            }
            (Some(ExtendedType::Scalar(_)), _) if type_name == "Float" => {
                let number = literal.to_f64().map(Value::Float);
                Ok(number.map_or_else(
                    || self.free(literal, nesting),
                    |value| Ok(Template::Constant(value)),
                )?)
            }
            (Some(ExtendedType::Scalar(_)), Literal::Int(number)) if type_name == "ID" => {
                Ok(Template::Constant(Value::str(number.as_str())))
            }
            _ => {
                let template = self.free(literal, nesting)?;
                if let (Template::Constant(value), Some(literals)) = (&template, self.literals)
                    && let Some(scalar) = self.types.checked.get(type_name.as_str())
                {
                    literals.add(scalar, literal, value);
                }
                Ok(template)
            }
        }
    }

    /// A literal by its own look.
    fn free(&self, literal: &Node<Literal>, nesting: usize) -> Result<Template, RequestError> {
        Ok(match &**literal {
            Literal::Enum(name) => Template::Constant(Value::str(name.as_str())),
            Literal::String(text) => Template::Constant(Value::str(text.as_str())),
            Literal::Boolean(value) => Template::Constant(Value::Bool(*value)),
            Literal::Int(digits) => Template::Constant(number(digits.as_str())),
            Literal::Float(digits) => Template::Constant(number(digits.as_str())),
            Literal::List(items) => {
                let items = items.iter().map(|item| self.free_nested(item, nesting));
                folded(Template::List {
                    items: items.collect::<Result<_, _>>()?,
                    nullable: true,
                })
            }
            Literal::Object(fields) => {
                let field = |(name, literal): &(apollo_compiler::Name, Node<Literal>)| {
                    Ok((name.as_str().into(), self.free_nested(literal, nesting)?))
                };
                folded(Template::Free(
                    fields.iter().map(field).collect::<Result<_, RequestError>>()?,
                ))
            }
            Literal::Null => Template::Constant(Value::Null),
            Literal::Variable(_) => return self.free_nested(literal, nesting),
        })
    }

    fn free_nested(&self, literal: &Node<Literal>, nesting: usize) -> Result<Template, RequestError> {
        // The name of no type: only nulls, variables and the limit of nesting are looked at.
        let free = Type::Named(apollo_compiler::name!("_"));
        self.template(&free, literal, nesting + 1)
    }
}

/// A template without variables is a constant. One whose evaluation fails stays: it fails when it runs.
fn folded(template: Template) -> Template {
    let constant = |template: &Template| matches!(template, Template::Constant(_));
    let input = |input: &Input| input.given.as_ref().is_none_or(constant);
    let is_constant = match &template {
        Template::List { items, .. } => items.iter().all(constant),
        Template::Object { fields, .. } => fields.iter().all(input),
        Template::Free(fields) => fields.iter().all(|(_, template)| constant(template)),
        Template::Constant(_) | Template::Variable(_) => false,
    };
    match is_constant.then(|| template.evaluate(&[])) {
        Some(Ok(Some(value))) => Template::Constant(value),
        _ => template,
    }
}
