//! The only module that knows the parser and validator: types from SDL, documents, introspection.

use apollo_compiler::collections::HashMap;
use apollo_compiler::schema::{ExtendedType, Implementers};
use apollo_compiler::validation::Valid;
use apollo_compiler::{Name, Schema as Parsed};

use crate::error::SchemaError;
use crate::schema::{SqlParam, SqlResolver};

/// A valid type system.
pub(crate) struct TypeSystem {
    pub(crate) schema: Valid<Parsed>,
    pub(crate) implementers: HashMap<Name, Implementers>,
}

impl TypeSystem {
    pub(crate) fn parse(sdl: &str) -> Result<Self, SchemaError> {
        let schema = Parsed::parse_and_validate(sdl, "schema.graphql")
            .map_err(|invalid| SchemaError::Invalid(invalid.errors.to_string()))?;
        let implementers = schema.implementers_map();
        Ok(Self { schema, implementers })
    }

    pub(crate) fn to_sdl(&self) -> String {
        self.schema.to_string()
    }

    pub(crate) fn check_field(&self, type_name: &str, field_name: &str) -> Result<(), SchemaError> {
        let (type_owned, field_owned) = (type_name.to_owned(), field_name.to_owned());
        match self.schema.get_object(type_name) {
            None => Err(SchemaError::UnknownType {
                type_name: type_owned,
                field_name: field_owned,
            }),
            Some(object) if !object.fields.contains_key(field_name) => Err(SchemaError::UnknownField {
                type_name: type_owned,
                field_name: field_owned,
            }),
            Some(_) => Ok(()),
        }
    }

    pub(crate) fn check_sql(
        &self,
        type_name: &str,
        field_name: &str,
        sql: &SqlResolver,
    ) -> Result<(), SchemaError> {
        let problem = |problem: String| SchemaError::BadResolver {
            type_name: type_name.to_owned(),
            field_name: field_name.to_owned(),
            problem,
        };
        let is_root = self
            .schema
            .schema_definition
            .iter_root_operations()
            .any(|(_, root)| root.as_str() == type_name);
        if let Some(join) = &sql.join {
            if is_root {
                return Err(problem("a root field has no parents to join".into()));
            }
            if join.parent_keys.is_empty() || join.parent_keys.len() != join.child_keys.len() {
                return Err(problem(
                    "a join needs as many parent keys as child keys, at least one".into(),
                ));
            }
        }
        let field = self
            .schema
            .get_object(type_name)
            .and_then(|object| object.fields.get(field_name));
        for param in &sql.params {
            match param {
                SqlParam::Constant(_) => {}
                SqlParam::Argument(name) => {
                    if field.is_some_and(|field| field.argument_by_name(name).is_none()) {
                        return Err(problem(format!("the field has no argument `{name}`")));
                    }
                }
                SqlParam::ParentValues(_) if is_root => {
                    return Err(problem("a root field has no parents to take values of".into()));
                }
                SqlParam::ParentValues(_) => {}
            }
        }
        Ok(())
    }

    /// Type and field names of the query and mutation types.
    pub(crate) fn root_fields(&self) -> impl Iterator<Item = (&str, &str)> {
        let definition = &self.schema.schema_definition;
        let roots = definition.query.iter().chain(&definition.mutation);
        roots
            .filter_map(|root| self.schema.get_object(root))
            .flat_map(|object| {
                object
                    .fields
                    .keys()
                    .map(|field| (object.name.as_str(), field.as_str()))
            })
    }

    pub(crate) fn type_named(&self, name: &str) -> Option<&ExtendedType> {
        self.schema.types.get(name)
    }
}
