//! Arguments and variables: what is constant is coerced once per plan, the rest once per request.

mod coerce;
mod literal;

use std::sync::Arc;

use self::literal::Compiler;
pub(super) use self::literal::Literals;
use crate::backend::Given;
use crate::document::{TypeSystem, location};
use crate::error::{FieldError, Location, RequestError, RequestErrorCode, RequestProblem};
use crate::value::{Arguments, Value};
use crate::write::leaf::json_value;
use apollo_compiler::Node;
use apollo_compiler::ast::{FieldDefinition, InputValueDefinition, Type, VariableDefinition};
use apollo_compiler::executable::Field;
use hashbrown::HashMap;

/// Most variables that one answer complains of.
const MAX_PROBLEMS: usize = 50;

/// The coerced variables of a request by number; `None` where none was given and there is no default.
pub(crate) type Variables = Vec<Option<Value>>;

/// The arguments of one field.
#[derive(PartialEq)]
pub(crate) enum ArgumentsPlan {
    Constant(Arguments),
    Dynamic(Vec<Input>),
}

/// One argument or input field.
#[derive(PartialEq)]
pub(crate) struct Input {
    name: Arc<str>,
    /// What the document gives.
    given: Option<Template>,
    default: Option<Value>,
    non_null: bool,
}

/// A value of a document, with the places of variables in it.
#[derive(PartialEq)]
pub(crate) enum Template {
    Constant(Value),
    Variable(usize),
    List {
        items: Vec<Template>,
        nullable: bool,
    },
    Object {
        fields: Vec<Input>,
        one_of: bool,
    },
    /// An object inside a custom scalar: no type says anything about its fields.
    Free(Vec<(Box<str>, Template)>),
}

/// One variable of an operation.
pub(crate) struct VariablePlan {
    name: Box<str>,
    declared: Type,
    default: Option<Value>,
    /// Where the document declares it.
    place: Option<Location>,
}

/// A value of a scalar that the backend is to check before anything runs.
pub(crate) struct Check {
    /// The variable and the place inside it, `$name.field[3]`, if it comes from one.
    pub(super) place: Option<String>,
    pub(super) location: Option<Location>,
    pub(crate) given: Given,
}

/// The checks of one request, those of its document first.
pub(crate) fn refusals(checks: &[&Check], answers: Vec<Option<String>>) -> Vec<RequestProblem> {
    let problem = |(check, answer): (&&Check, Option<String>)| {
        let message = match (&check.place, answer?) {
            (Some(place), message) => format!("variable `{place}`: {message}"),
            (None, message) => message,
        };
        Some(RequestProblem {
            message,
            locations: check.location.into_iter().collect(),
        })
    };
    checks
        .iter()
        .zip(answers)
        .filter_map(problem)
        .take(MAX_PROBLEMS)
        .collect()
}

/// Compiles the arguments of a field of a valid document.
pub(super) fn compile_arguments(
    types: &TypeSystem,
    definition: &FieldDefinition,
    field: &Node<Field>,
    variables: &HashMap<&str, usize>,
    literals: &Literals<'_>,
) -> Result<ArgumentsPlan, RequestError> {
    let definitions = &definition.arguments;
    let compiler = Compiler {
        types,
        variables: Some(variables),
        literals: Some(literals),
    };
    let given = |name: &str| field.specified_argument_by_name(name);
    let inputs = compiler.inputs(definitions, given, 0)?;
    let is_constant = |input: &Input| match &input.given {
        None => true,
        Some(template) => matches!(template, Template::Constant(_)),
    };
    if inputs.iter().all(is_constant)
        && let Ok(arguments) = evaluate(&inputs, &[])
    {
        return Ok(ArgumentsPlan::Constant(Arguments::new(arguments)));
    }
    Ok(ArgumentsPlan::Dynamic(inputs))
}

impl ArgumentsPlan {
    /// The arguments for one request.
    ///
    /// # Errors
    /// When null, or nothing, comes out of a variable for an argument that must have a value.
    pub(crate) fn evaluate(&self, variables: &[Option<Value>]) -> Result<Arguments, FieldError> {
        match self {
            Self::Constant(arguments) => Ok(arguments.clone()),
            Self::Dynamic(inputs) => evaluate(inputs, variables).map(Arguments::new),
        }
    }
}

fn evaluate(inputs: &[Input], variables: &[Option<Value>]) -> Result<Vec<(Arc<str>, Value)>, FieldError> {
    let mut values = Vec::with_capacity(inputs.len());
    for input in inputs {
        if let Some(value) = input.evaluate(variables)? {
            values.push((input.name.clone(), value));
        }
    }
    Ok(values)
}

fn bad_argument(message: String) -> FieldError {
    FieldError::new("BAD_USER_INPUT", message)
}

impl Input {
    fn evaluate(&self, variables: &[Option<Value>]) -> Result<Option<Value>, FieldError> {
        let given = match &self.given {
            None => None,
            Some(template) => template.evaluate(variables)?,
        };
        match given {
            Some(Value::Null) if self.non_null => {
                Err(bad_argument(format!("`{}` must not be null", self.name)))
            }
            Some(value) => Ok(Some(value)),
            None => match &self.default {
                Some(default) => Ok(Some(default.clone())),
                None if self.non_null => Err(bad_argument(format!("`{}` needs a value", self.name))),
                None => Ok(None),
            },
        }
    }
}

impl Template {
    /// The value, `None` if it is a variable without a value.
    fn evaluate(&self, variables: &[Option<Value>]) -> Result<Option<Value>, FieldError> {
        Ok(Some(match self {
            Self::Constant(value) => value.clone(),
            Self::Variable(slot) => return Ok(variables.get(*slot).cloned().flatten()),
            Self::List { items, nullable } => {
                let item = |item: &Self| match item.evaluate(variables)?.unwrap_or(Value::Null) {
                    Value::Null if !nullable => Err(bad_argument("a list element must not be null".into())),
                    value => Ok(value),
                };
                Value::List(items.iter().map(item).collect::<Result<_, _>>()?)
            }
            Self::Object { fields, one_of } => {
                let fields = evaluate(fields, variables)?;
                if *one_of && (fields.len() != 1 || fields[0].1.is_null()) {
                    let message = "exactly one field of a `@oneOf` input object must have a value";
                    return Err(bad_argument(message.into()));
                }
                Value::Object(
                    fields
                        .into_iter()
                        .map(|(name, value)| ((*name).into(), value))
                        .collect(),
                )
            }
            Self::Free(fields) => {
                let mut values = Vec::with_capacity(fields.len());
                for (name, template) in fields {
                    if let Some(value) = template.evaluate(variables)? {
                        values.push((name.clone(), value));
                    }
                }
                Value::Object(values)
            }
        }))
    }
}

/// Compiles the variables of an operation.
pub(super) fn compile_variables(
    types: &TypeSystem,
    definitions: &[Node<VariableDefinition>],
    literals: &Literals<'_>,
) -> Result<Vec<VariablePlan>, RequestError> {
    let compiler = Compiler {
        types,
        variables: None,
        literals: Some(literals),
    };
    let plan = |definition: &Node<VariableDefinition>| {
        let declared = (*definition.ty).clone();
        let default = match &definition.default_value {
            Some(literal) => Some(compiler.constant(&declared, literal, 0)?),
            None => None,
        };
        Ok(VariablePlan {
            name: definition.name.as_str().into(),
            declared,
            default,
            place: location(definition.location(), literals.sources),
        })
    };
    definitions.iter().map(plan).collect()
}

/// Coerces what a request gives for the variables of its operation; what the backend is to check goes with it.
///
/// # Errors
/// [`RequestErrorCode::BadVariables`], one problem for each variable that does not fit.
pub(crate) fn coerce_variables(
    types: &TypeSystem,
    plans: &[VariablePlan],
    mut given: std::collections::HashMap<Box<str>, Value>,
) -> Result<(Variables, Vec<Check>), RequestError> {
    let mut checks = Vec::new();
    let mut problems = Vec::new();
    let mut variables = Vec::with_capacity(plans.len());
    for plan in plans {
        let value = match given.remove(&plan.name) {
            Some(value) => {
                let before = checks.len();
                let coerced = coerce::coerce(types, &plan.declared, value, &plan.name, &mut checks);
                checks[before..]
                    .iter_mut()
                    .for_each(|check| check.location = plan.place);
                coerced.map(Some)
            }
            None if plan.default.is_some() => Ok(plan.default.clone()),
            None if plan.declared.is_non_null() => Err(format!(
                "variable `${}` of type `{}` needs a value",
                plan.name, plan.declared
            )),
            None => Ok(None),
        };
        match value {
            Ok(value) => variables.push(value),
            Err(_) if problems.len() >= MAX_PROBLEMS => {}
            Err(message) => {
                problems
                    .extend(RequestError::at(RequestErrorCode::BadVariables, message, plan.place).problems);
            }
        }
    }
    if problems.is_empty() {
        Ok((variables, checks))
    } else {
        Err(RequestError {
            code: RequestErrorCode::BadVariables,
            problems,
        })
    }
}

/// Checks that the variables of `@skip` and `@include` have a value, which a null instead of their default has
/// not.
///
/// # Errors
/// [`RequestErrorCode::BadVariables`]
pub(crate) fn check_deciding(
    plans: &[VariablePlan],
    deciding: &[usize],
    variables: &Variables,
) -> Result<(), RequestError> {
    let is_open = |slot: &&usize| !matches!(variables.get(**slot), Some(Some(Value::Bool(_))));
    match deciding.iter().find(is_open).and_then(|slot| plans.get(*slot)) {
        None => Ok(()),
        Some(plan) => {
            let message = format!(
                "variable `${}` decides a `@skip` or `@include` and must not be null",
                plan.name
            );
            Err(RequestError::at(
                RequestErrorCode::BadVariables,
                message,
                plan.place,
            ))
        }
    }
}

/// Coerced variables as a JSON object, for introspection, which has its own values.
pub(crate) fn variables_json(plans: &[VariablePlan], variables: &Variables) -> Result<Vec<u8>, FieldError> {
    let given = plans.iter().zip(variables);
    let fields = given
        .filter_map(|(plan, value)| Some((plan.name.clone(), value.clone()?)))
        .collect();
    let mut json = Vec::new();
    json_value(&mut json, &Value::Object(fields))?;
    Ok(json)
}

/// The default value of an argument or input field, coerced.
fn default_value(
    types: &TypeSystem,
    definition: &InputValueDefinition,
    nesting: usize,
) -> Result<Option<Value>, RequestError> {
    let compiler = Compiler {
        types,
        variables: None,
        literals: None,
    };
    definition
        .default_value
        .as_ref()
        .map(|literal| compiler.constant(&definition.ty, literal, nesting))
        .transpose()
}
