//! A backend of closures and rows in memory, which counts what it is asked.
// Each test crate uses a part of it; helpers are not `#[test]` functions, which lints excuse by themselves.
#![allow(dead_code, unreachable_pub, missing_docs, clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use puff_graphql::{
    Backend, Call, CellRule, CellType, Cells, Engine, FieldError, FieldResolver, Given, Join, PermissionCall,
    PermissionId, Permit, Request, Resolved, ResolverId, ResolverKind, Response, Rows, ScalarType, Schema,
    SchemaOptions, SchemaRule, Spread, SqlParam, SqlResolver, SqlResult, Statement, Value,
};
use serde_json::Value as Json;

type Resolver = Box<dyn Fn(Call<Memory>) -> Result<Resolved<Memory>, FieldError> + Send + Sync>;
type Loader = Box<dyn Fn(&[Value]) -> Result<MemoryRows, FieldError> + Send + Sync>;

type Permission = Box<dyn Fn(&PermissionCall<Memory>) -> Permit + Send + Sync>;

pub struct Memory {
    resolvers: Vec<Resolver>,
    permissions: Vec<Permission>,
    loaders: HashMap<String, Loader>,
    pub log: Mutex<Vec<String>>,
}

#[derive(Clone, Debug)]
pub struct MemoryRows {
    columns: Vec<(String, CellType)>,
    rows: Vec<Vec<Option<String>>>,
}

impl Rows for MemoryRows {
    fn len(&self) -> usize {
        self.rows.len()
    }
    fn columns(&self) -> usize {
        self.columns.len()
    }
    fn column_name(&self, column: usize) -> &str {
        &self.columns[column].0
    }
    fn column_type(&self, column: usize) -> CellType {
        self.columns[column].1
    }
    fn cell(&self, row: usize, column: usize) -> Option<&[u8]> {
        self.rows[row][column].as_deref().map(str::as_bytes)
    }
}

impl Backend for Memory {
    type Context = String;
    type Rows = MemoryRows;
    type Param = Value;
    type Objects = Arc<Vec<Json>>;

    async fn resolve(&self, call: Call<Self>) -> Result<Resolved<Self>, FieldError> {
        let parents = call
            .parents
            .as_ref()
            .map_or("root".to_owned(), |parents| parents.len().to_string());
        self.log.lock().unwrap().push(format!("{} {parents}", call.field));
        tokio::task::yield_now().await;
        (self.resolvers[call.id.0 as usize])(call)
    }

    async fn load(&self, _: &String, statement: Statement<Self>) -> Result<MemoryRows, FieldError> {
        self.log.lock().unwrap().push(format!("SQL {}", statement.sql));
        tokio::task::yield_now().await;
        match self.loaders.get(&*statement.sql) {
            Some(loader) => loader(&statement.params),
            None => Err(FieldError::new(
                "SQL_ERROR",
                format!("relation \"{}\" does not exist", statement.sql),
            )),
        }
    }

    /// Text in angle brackets; `bad` is an error, and so is a column of nothing else.
    async fn convert(&self, cells: Cells<Self>) -> Result<Vec<Value>, FieldError> {
        self.log
            .lock()
            .unwrap()
            .push(format!("convert {} {}", cells.scalar, cells.field));
        tokio::task::yield_now().await;
        let bad = || FieldError::new("BAD", "a bad one");
        let value = |row| match cells.rows.cell(row, cells.column) {
            None => Value::Null,
            Some(b"bad") => Value::Error(Box::new(bad())),
            Some(text) => Value::str(format!("<{}>", str::from_utf8(text).unwrap())),
        };
        let values: Vec<_> = (0..cells.rows.len()).map(value).collect();
        if values.iter().all(|value| matches!(value, Value::Error(_))) {
            return Err(bad());
        }
        Ok(values)
    }

    async fn permit(&self, _: &String, calls: Vec<PermissionCall<Self>>) -> Vec<Permit> {
        let names = calls.iter().map(|call| {
            let parents = call.parents.as_ref().map(|parents| format!(" {}", parents.len()));
            format!("{}{}", call.id.0, parents.unwrap_or_default())
        });
        let names: Vec<_> = names.collect();
        self.log
            .lock()
            .unwrap()
            .push(format!("permit {}", names.join(", ")));
        tokio::task::yield_now().await;
        let permit = |call: &PermissionCall<Self>| (self.permissions[call.id.0 as usize])(call);
        calls.iter().map(permit).collect()
    }

    async fn check(&self, given: Vec<Given>) -> Result<Vec<Option<String>>, FieldError> {
        let refusal = |given: Given| {
            let is_bad = given.value.as_str() == Some("bad");
            is_bad.then(|| format!("it is no {}", given.scalar))
        };
        self.log.lock().unwrap().push(format!("check {}", given.len()));
        Ok(given.into_iter().map(refusal).collect())
    }

    fn param(&self, value: &Value) -> Result<Value, FieldError> {
        Ok(value.clone())
    }
}

pub struct World {
    sdl: String,
    options: SchemaOptions,
    rules: Vec<SchemaRule>,
    fields: Vec<FieldResolver>,
    resolvers: Vec<Resolver>,
    permissions: Vec<Permission>,
    loaders: HashMap<String, Loader>,
}

impl World {
    pub fn new(sdl: &str) -> Self {
        Self {
            sdl: sdl.into(),
            options: SchemaOptions::default(),
            rules: Vec::new(),
            fields: Vec::new(),
            resolvers: Vec::new(),
            permissions: Vec::new(),
            loaders: HashMap::new(),
        }
    }

    pub fn with_sdl(mut self, more: &str) -> Self {
        self.sdl.push_str(more);
        self
    }

    pub fn options(mut self, options: SchemaOptions) -> Self {
        self.options = options;
        self
    }

    pub fn cells(mut self, scalar: &str, cells: CellRule) -> Self {
        self.rules.push(SchemaRule::Scalar {
            type_name: scalar.into(),
            cells,
            checked: false,
        });
        self
    }

    /// A scalar of which [`Memory::check`] refuses the text `bad`.
    pub fn checked(mut self, scalar: &str) -> Self {
        self.rules.push(SchemaRule::Scalar {
            type_name: scalar.into(),
            cells: CellRule::Auto,
            checked: true,
        });
        self
    }

    pub fn texts(mut self, enumeration: &str, texts: &[(&str, &str)]) -> Self {
        self.rules.push(SchemaRule::Enum {
            type_name: enumeration.into(),
            texts: texts
                .iter()
                .map(|(text, value)| (text.to_string(), value.to_string()))
                .collect(),
        });
        self
    }

    /// One permission that guards several things: `Type.field`, or all objects of `Type`.
    pub fn guard(
        mut self,
        guarded: &[&str],
        permission: impl Fn(&PermissionCall<Memory>) -> Permit + Send + Sync + 'static,
    ) -> Self {
        let id = PermissionId(self.permissions.len() as u32);
        self.permissions.push(Box::new(permission));
        for one in guarded {
            let (type_name, field_name) = one.split_once('.').map_or((*one, None), |(a, b)| (a, Some(b)));
            self.rules.push(SchemaRule::Permission {
                type_name: type_name.into(),
                field_name: field_name.map(str::to_owned),
                id,
            });
        }
        self
    }

    pub fn field(mut self, field: &str, kind: ResolverKind) -> Self {
        let (type_name, field_name) = field.split_once('.').unwrap();
        self.fields.push(FieldResolver {
            type_name: type_name.into(),
            field_name: field_name.into(),
            kind,
        });
        self
    }

    pub fn call(
        mut self,
        field: &str,
        resolver: impl Fn(Call<Memory>) -> Result<Resolved<Memory>, FieldError> + Send + Sync + 'static,
    ) -> Self {
        self.resolvers.push(Box::new(resolver));
        let id = ResolverId(self.resolvers.len() as u32 - 1);
        self.field(field, ResolverKind::Call(id))
    }

    /// One resolver that several types inherit.
    pub fn inherited(
        mut self,
        fields: &[&str],
        resolver: impl Fn(Call<Memory>) -> Result<Resolved<Memory>, FieldError> + Send + Sync + 'static,
    ) -> Self {
        self.resolvers.push(Box::new(resolver));
        let id = ResolverId(self.resolvers.len() as u32 - 1);
        fields
            .iter()
            .fold(self, |world, field| world.field(field, ResolverKind::Call(id)))
    }

    pub fn constant(self, field: &str, sql: &str, params: Vec<SqlParam>, join: Option<Join>) -> Self {
        self.field(
            field,
            ResolverKind::Sql(SqlResolver {
                id: None,
                sql: sql.into(),
                params,
                join,
            }),
        )
    }

    /// A field that always has this value.
    pub fn always(self, field: &str, value: Value) -> Self {
        self.field(field, ResolverKind::Constant(value))
    }

    pub fn attribute(self, field: &str, name: &str) -> Self {
        self.field(field, ResolverKind::Attribute(name.into()))
    }

    pub fn load(
        mut self,
        sql: &str,
        loader: impl Fn(&[Value]) -> Result<MemoryRows, FieldError> + Send + Sync + 'static,
    ) -> Self {
        self.loaders.insert(sql.into(), Box::new(loader));
        self
    }

    pub fn rows(self, sql: &str, columns: &str, cells: &[&[&str]]) -> Self {
        let rows = rows(columns, cells);
        self.load(sql, move |_| Ok(rows.clone()))
    }

    pub fn engine(self) -> Engine<Memory> {
        let schema = Schema::with_rules(&self.sdl, self.fields, self.rules, self.options).unwrap();
        let backend = Memory {
            resolvers: self.resolvers,
            permissions: self.permissions,
            loaders: self.loaders,
            log: Mutex::default(),
        };
        Engine::new(schema, Arc::new(backend))
    }
}

/// Rows from text: `columns` is `name:type ...`; the cell `NULL` is null.
pub fn rows(columns: &str, cells: &[&[&str]]) -> MemoryRows {
    let column = |text: &str| {
        let (name, kind) = text.split_once(':').unwrap_or((text, "text"));
        let (scalar, is_array) = kind
            .strip_suffix("[]")
            .map_or((kind, false), |scalar| (scalar, true));
        let scalar = match scalar {
            "bool" => ScalarType::Bool,
            "int2" => ScalarType::Int2,
            "int4" => ScalarType::Int4,
            "int8" => ScalarType::Int8,
            "float8" => ScalarType::Float8,
            "numeric" => ScalarType::Numeric,
            "json" => ScalarType::Json,
            "uuid" => ScalarType::Uuid,
            "bytea" => ScalarType::Bytea,
            "interval" => ScalarType::Interval,
            "date" => ScalarType::Date,
            "bpchar" => ScalarType::Bpchar,
            "timestamptz" => ScalarType::TimestampTz,
            "text" => ScalarType::Text,
            other => panic!("unknown type {other}"),
        };
        (
            name.to_owned(),
            if is_array {
                CellType::Array(scalar)
            } else {
                CellType::Scalar(scalar)
            },
        )
    };
    let cell = |text: &&str| (*text != "NULL").then(|| (*text).to_owned());
    MemoryRows {
        columns: columns.split(' ').map(column).collect(),
        rows: cells.iter().map(|row| row.iter().map(cell).collect()).collect(),
    }
}

pub fn sql(text: &str) -> Result<Resolved<Memory>, FieldError> {
    sql_with(text, Vec::new(), None)
}

pub fn sql_with(text: &str, params: Vec<Value>, join: Option<Join>) -> Result<Resolved<Memory>, FieldError> {
    let statement = Statement {
        sql: text.into(),
        params,
    };
    Ok(Resolved::Sql(SqlResult {
        statement,
        join,
        parent_values: None,
        page: None,
    }))
}

pub fn joined(text: &str, parent_key: &str, child_key: &str) -> Result<Resolved<Memory>, FieldError> {
    sql_with(text, Vec::new(), Some(join(parent_key, child_key)))
}

pub fn join(parent_keys: &str, child_keys: &str) -> Join {
    let names = |keys: &str| keys.split(' ').map(str::to_owned).collect();
    Join {
        parent_keys: names(parent_keys),
        child_keys: names(child_keys),
    }
}

/// One value: of a root, or shared by all parents.
pub fn value(value: Value) -> Result<Resolved<Memory>, FieldError> {
    Ok(Resolved::Values {
        values: vec![value],
        spread: Spread::Shared,
    })
}

pub fn values(values: Vec<Value>) -> Result<Resolved<Memory>, FieldError> {
    Ok(Resolved::Values {
        values,
        spread: Spread::PerParent,
    })
}

/// Host objects, here JSON, read as an adapter would read them.
pub fn objects(
    call: &Call<Memory>,
    per_parent: Vec<Json>,
    spread: Spread,
) -> Result<Resolved<Memory>, FieldError> {
    let puff_graphql::WantedKind::Objects(wanted) = &call.wanted.kind else {
        panic!("a leaf")
    };
    Ok(Resolved::Objects {
        objects: host::nested(wanted, per_parent),
        spread,
    })
}

pub mod host {
    use std::sync::Arc;

    use puff_graphql::{Column, FieldError, Nested, Slot, Table, Value, WantedKind, WantedObjects};
    use serde_json::Value as Json;

    use super::Memory;

    pub fn nested(wanted: &WantedObjects, places: Vec<Json>) -> Nested<Memory> {
        let mut objects = Vec::new();
        let slots = places.iter().map(|place| slot(place, &mut objects)).collect();
        Nested {
            slots,
            table: Arc::new(table(wanted, objects)),
        }
    }

    fn slot(place: &Json, objects: &mut Vec<Json>) -> Slot {
        match place {
            Json::Null => Slot::Null,
            Json::String(message) => Slot::Error(Box::new(FieldError::new("HOST", message.as_str()))),
            Json::Array(items) if items.iter().all(Json::is_object) => {
                let start = objects.len() as u32;
                objects.extend(items.iter().cloned());
                Slot::Range {
                    start,
                    end: objects.len() as u32,
                }
            }
            Json::Array(items) => Slot::List(items.iter().map(|item| slot(item, objects)).collect()),
            object => {
                objects.push(object.clone());
                Slot::Object(objects.len() as u32 - 1)
            }
        }
    }

    fn table(wanted: &WantedObjects, objects: Vec<Json>) -> Table<Memory> {
        let type_of = |object: &Json| {
            let name = object["__typename"].as_str().unwrap_or("nothing");
            let number = wanted.types.iter().position(|known| **known == *name);
            let error = || FieldError::new("HOST", format!("{name} is no {}", wanted.type_name));
            number.ok_or_else(|| Box::new(error()))
        };
        let columns = wanted
            .fields
            .iter()
            .map(|field| {
                let read = |object: &Json| {
                    let ours =
                        !wanted.is_abstract || type_of(object).is_ok_and(|kind| field.types.contains(&kind));
                    if ours {
                        object[&*field.attribute].clone()
                    } else {
                        Json::Null
                    }
                };
                match &field.value.kind {
                    WantedKind::Leaf { .. } => {
                        Column::Values(objects.iter().map(|o| Value::from(read(o))).collect())
                    }
                    WantedKind::Objects(inner) => {
                        Column::Objects(nested(inner, objects.iter().map(read).collect()))
                    }
                }
            })
            .collect();
        let types = if wanted.is_abstract {
            objects.iter().map(type_of).collect()
        } else {
            Vec::new()
        };
        Table {
            json: None,
            len: objects.len(),
            columns,
            types,
            objects: wanted.keep_objects.then(|| Arc::new(objects)),
        }
    }
}

pub async fn ask(engine: &Engine<Memory>, query: &str) -> Json {
    json(&respond(engine, query, Json::Null).await)
}

pub async fn ask_with(engine: &Engine<Memory>, query: &str, variables: Json) -> Json {
    json(&respond(engine, query, variables).await)
}

pub async fn respond(engine: &Engine<Memory>, query: &str, variables: Json) -> Response {
    let variables = variables.as_object().cloned().unwrap_or_default();
    let variables = variables
        .into_iter()
        .map(|(name, value)| (name.into(), value.into()));
    engine
        .execute(
            Request {
                query: query.into(),
                variables: variables.collect(),
                ..Request::default()
            },
            String::new(),
        )
        .await
}

pub fn json(response: &Response) -> Json {
    serde_json::from_slice(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&response.body)))
}

pub fn log(engine: &Engine<Memory>) -> Vec<String> {
    let mut log = engine.backend().log.lock().unwrap();
    std::mem::take(&mut *log)
}

/// The first error's message.
pub fn message(answer: &Json) -> &str {
    answer["errors"][0]["message"].as_str().unwrap()
}
