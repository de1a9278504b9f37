//! The schema: types from SDL, and for each field where its value comes from.

use std::sync::Arc;

use hashbrown::HashMap;

use crate::backend::{Join, ResolverId};
use crate::constant::Constants;
use crate::document::TypeSystem;
use crate::error::SchemaError;
use crate::options::SchemaOptions;
use crate::permission::PermissionId;
use crate::plan::Leaf;
use crate::value::Value;

/// A schema with its resolvers and limits: immutable, shared, cheap to clone.
///
/// ```
/// use puff_graphql::{FieldResolver, ResolverId, ResolverKind, Schema, SchemaOptions};
///
/// let hello = FieldResolver {
///     type_name: "Query".into(),
///     field_name: "hello".into(),
///     kind: ResolverKind::Call(ResolverId(0)),
/// };
/// let schema = Schema::build("type Query { hello: String }", vec![hello], SchemaOptions::default())?;
/// assert_eq!(schema.sdl(), "type Query {\n  hello: String\n}\n");
/// # Ok::<(), puff_graphql::SchemaError>(())
/// ```
#[derive(Clone)]
pub struct Schema {
    pub(crate) inner: Arc<SchemaInner>,
}

pub(crate) struct SchemaInner {
    pub(crate) types: TypeSystem,
    pub(crate) options: SchemaOptions,
    sdl: String,
    resolvers: HashMap<String, HashMap<String, ResolverKind>>,
    pub(crate) constants: Constants,
    /// The value of each enum that a text means.
    enums: Enums,
    cells: Cells,
    permissions: HashMap<String, Permissions>,
    /// By type and field, those that differ.
    costs: HashMap<String, HashMap<String, Cost>>,
}

/// What is to be asked about the objects of one type.
#[derive(Default)]
struct Permissions {
    objects: Option<PermissionId>,
    fields: HashMap<String, PermissionId>,
}

/// Where the value of one field comes from. A field without one is the column or attribute of its name.
#[derive(Debug, Clone)]
pub struct FieldResolver {
    /// An object type or interface of the schema.
    pub type_name: String,
    /// A field of that type.
    pub field_name: String,
    /// Where the value comes from.
    pub kind: ResolverKind,
}

/// The ways a field gets its value.
#[derive(Debug, Clone)]
pub enum ResolverKind {
    /// The backend runs a resolver.
    Call(ResolverId),
    /// A statement written down in the schema: it runs without asking anyone.
    Sql(SqlResolver),
    /// The column or attribute of this name, which is not the field's.
    Attribute(String),
    /// Of a row the column of this name; of host objects the attribute of the field's.
    Column(String),
    /// An object that is the row which has the field, seen as another type; of host objects the attribute.
    Itself,
    /// Always this value: a leaf, or a list of leaves.
    Constant(Value),
}

/// What a schema says beyond its SDL and its resolvers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SchemaRule {
    /// Texts that stand for values of an enum, beside the values' own names.
    Enum {
        /// The enum.
        type_name: String,
        /// Text and value. Whole numbers count by their digits. The first of several entries for a text counts.
        texts: Vec<(String, String)>,
    },
    /// How the cells of SQL rows become values of a scalar.
    Scalar {
        /// The scalar, not one of GraphQL's own.
        type_name: String,
        /// The rule.
        cells: CellRule,
        /// Whether the backend tells which values of clients the scalar takes: see
        /// [`Backend::check`](crate::Backend::check).
        checked: bool,
    },
    /// What a field counts in the estimate of an answer's size.
    Cost {
        /// An object type.
        type_name: String,
        /// A field of it.
        field_name: String,
        /// As how many fields it counts; one without.
        cost: Option<u32>,
        /// How many items its list, or that of its connection, has if no argument says so; without,
        /// [`SchemaOptions::list_size`].
        list_size: Option<u32>,
    },
    /// A permission that is asked for before anything is shown; see [`Backend::permit`](crate::Backend::permit).
    Permission {
        /// An object type.
        type_name: String,
        /// The field of it that is guarded; `None`: its objects are.
        field_name: Option<String>,
        /// The permission. Fields of several types that have the same one are asked about together.
        id: PermissionId,
    },
}

/// How the cells of SQL rows become JSON, for a scalar that the schema declares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CellRule {
    /// Numbers, booleans and JSON as they are, timestamps, intervals and bytes in the formats of ISO 8601 and
    /// base64, anything else as a string.
    #[default]
    Auto,
    /// PostgreSQL's text as a string.
    Text,
    /// PostgreSQL's text as it is; a text that is no JSON is an error of its field.
    Json,
    /// As the backend converts them, which is asked once for a column: see
    /// [`Backend::convert`](crate::Backend::convert).
    Backend,
}

/// A statement written down in the schema.
#[derive(Debug, Clone, PartialEq)]
pub struct SqlResolver {
    /// By which the backend knows it, to say where it stands.
    pub id: Option<ResolverId>,
    /// The text, with `$1`, `$2`... for the parameters.
    pub sql: Arc<str>,
    /// Where the parameters come from.
    pub params: Vec<SqlParam>,
    /// The columns that tell which rows belong to which parent; without, each parent gets all rows.
    pub join: Option<Join>,
}

/// A parameter of a statement that is written down in the schema.
#[derive(Debug, Clone, PartialEq)]
pub enum SqlParam {
    /// Always this value.
    Constant(Value),
    /// The field's argument of this name; null when it was not given.
    Argument(String),
    /// The values of this column or attribute of all parents, as one array: each once, without nulls.
    ParentValues(String),
}

/// What a field counts in the estimate of an answer's size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// As how many fields it counts itself.
    pub(crate) of_itself: u64,
    /// How many items its list has if no argument says so and the author does.
    pub(crate) list_size: Option<u64>,
}

impl Default for Cost {
    fn default() -> Self {
        Self {
            of_itself: 1,
            list_size: None,
        }
    }
}

impl Schema {
    /// Builds a schema from SDL and the resolvers of its fields.
    ///
    /// # Errors
    /// When the SDL does not parse or validate, when a resolver or a constant does not fit it, or when a field of a
    /// root type has no resolver, or one of the subscription type a statement or a constant.
    pub fn build(
        sdl: &str,
        resolvers: Vec<FieldResolver>,
        options: SchemaOptions,
    ) -> Result<Self, SchemaError> {
        Self::with_rules(sdl, resolvers, Vec::new(), options)
    }

    /// Builds a schema with rules for its enums and scalars, and with permissions.
    ///
    /// # Errors
    /// As [`Schema::build`], and when a rule speaks of a type, field or value that the SDL does not have.
    pub fn with_rules(
        sdl: &str,
        resolvers: Vec<FieldResolver>,
        rules: Vec<SchemaRule>,
        options: SchemaOptions,
    ) -> Result<Self, SchemaError> {
        let mut types = TypeSystem::parse(sdl)?;
        types.checked = checked(&rules);
        let permissions = permissions(&types, &rules)?;
        let costs = costs(&types, &rules)?;
        let (enums, cells) = leaves(&types, rules)?;
        let mut by_type: HashMap<String, HashMap<String, ResolverKind>> = HashMap::default();
        for FieldResolver {
            type_name,
            field_name,
            kind,
        } in resolvers
        {
            types.check_field(&type_name, &field_name)?;
            match &kind {
                ResolverKind::Sql(sql) => types.check_sql(&type_name, &field_name, sql)?,
                ResolverKind::Itself => types.check_itself(&type_name, &field_name)?,
                ResolverKind::Call(_)
                | ResolverKind::Attribute(_)
                | ResolverKind::Column(_)
                | ResolverKind::Constant(_) => {}
            }
            let fields = by_type.entry(type_name.clone()).or_default();
            if fields.insert(field_name.clone(), kind).is_some() {
                return Err(SchemaError::DuplicateResolver {
                    type_name,
                    field_name,
                });
            }
        }
        for (type_name, field_name) in types.root_fields() {
            let kind = by_type.get(type_name).and_then(|fields| fields.get(field_name));
            let gives = matches!(
                kind,
                Some(ResolverKind::Call(_) | ResolverKind::Sql(_) | ResolverKind::Constant(_))
            );
            if !gives {
                let (type_name, field_name) = (type_name.to_owned(), field_name.to_owned());
                return Err(SchemaError::MissingResolver {
                    type_name,
                    field_name,
                });
            }
        }
        let sdl = types.to_sdl();
        let mut inner = SchemaInner {
            types,
            options,
            sdl,
            resolvers: by_type,
            constants: Constants::default(),
            enums,
            cells,
            permissions,
            costs,
        };
        let mut constants = Constants::default();
        for (type_name, fields) in &inner.resolvers {
            for (field_name, kind) in fields {
                if let ResolverKind::Constant(value) = kind {
                    constants.add(&inner, type_name, field_name, value)?;
                }
            }
        }
        inner.constants = constants;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The schema in SDL, built-in types left out, types and fields in the order they were given.
    pub fn sdl(&self) -> &str {
        &self.inner.sdl
    }

    /// The limits and cache sizes.
    pub fn options(&self) -> &SchemaOptions {
        &self.inner.options
    }
}

impl SchemaInner {
    pub(crate) fn resolver(&self, type_name: &str, field_name: &str) -> Option<&ResolverKind> {
        self.resolvers.get(type_name)?.get(field_name)
    }

    /// What is to be asked before objects of a type are shown.
    pub(crate) fn objects_permission(&self, type_name: &str) -> Option<PermissionId> {
        self.permissions.get(type_name)?.objects
    }

    /// What is to be asked before a field is shown.
    pub(crate) fn field_permission(&self, type_name: &str, field_name: &str) -> Option<PermissionId> {
        self.permissions.get(type_name)?.fields.get(field_name).copied()
    }

    /// What a field counts in the estimate of an answer's size.
    pub(crate) fn cost(&self, type_name: &str, field_name: &str) -> Cost {
        let of_type = self.costs.get(type_name);
        of_type
            .and_then(|fields| fields.get(field_name).copied())
            .unwrap_or_default()
    }

    /// The rules by which values of a scalar or enum are written; `None` for other types. `name` keeps a name.
    pub(crate) fn leaf(&self, type_name: &str, name: &mut impl FnMut(&str) -> Arc<str>) -> Option<Leaf> {
        let found = self.types.type_named(type_name)?;
        if found.is_enum() {
            return Some(Leaf::Enum {
                name: name(type_name),
                texts: self.enum_texts(type_name),
            });
        }
        found.is_scalar().then(|| match type_name {
            "Int" => Leaf::Int,
            "Float" => Leaf::Float,
            "String" => Leaf::String,
            "Boolean" => Leaf::Boolean,
            "ID" => Leaf::Id,
            _ => Leaf::Custom {
                name: name(type_name),
                cells: self.cell_rule(type_name),
            },
        })
    }

    /// The texts that mean values of an enum.
    fn enum_texts(&self, type_name: &str) -> Arc<HashMap<Box<str>, Box<str>>> {
        self.enums.get(type_name).cloned().unwrap_or_default()
    }

    fn cell_rule(&self, type_name: &str) -> CellRule {
        self.cells.get(type_name).copied().unwrap_or_default()
    }
}

type Enums = HashMap<String, Arc<HashMap<Box<str>, Box<str>>>>;
type Cells = HashMap<String, CellRule>;

/// The permissions of each object type.
fn permissions(
    types: &TypeSystem,
    rules: &[SchemaRule],
) -> Result<HashMap<String, Permissions>, SchemaError> {
    let mut found: HashMap<String, Permissions> = HashMap::default();
    for rule in rules {
        let SchemaRule::Permission {
            type_name,
            field_name,
            id,
        } = rule
        else {
            continue;
        };
        if !types.type_named(type_name).is_some_and(|found| found.is_object()) {
            let type_name = type_name.clone();
            return Err(SchemaError::BadRule { type_name });
        }
        let of_type = found.entry(type_name.clone()).or_default();
        match field_name {
            Some(field_name) => {
                types.check_field(type_name, field_name)?;
                of_type.fields.insert(field_name.clone(), *id);
            }
            None => of_type.objects = Some(*id),
        }
    }
    Ok(found)
}

/// What fields cost, by type and field.
fn costs(
    types: &TypeSystem,
    rules: &[SchemaRule],
) -> Result<HashMap<String, HashMap<String, Cost>>, SchemaError> {
    let mut found: HashMap<String, HashMap<String, Cost>> = HashMap::default();
    for rule in rules {
        if let SchemaRule::Cost {
            type_name,
            field_name,
            cost,
            list_size,
        } = rule
        {
            types.check_field(type_name, field_name)?;
            let cost = Cost {
                of_itself: cost.map_or(1, u64::from),
                list_size: list_size.map(u64::from),
            };
            let of_type = found.entry(type_name.clone()).or_default();
            of_type.insert(field_name.clone(), cost);
        }
    }
    Ok(found)
}

/// The scalars whose values the backend checks.
fn checked(rules: &[SchemaRule]) -> HashMap<Box<str>, Arc<str>> {
    let checked = rules.iter().filter_map(|rule| match rule {
        SchemaRule::Scalar {
            type_name,
            checked: true,
            ..
        } => Some((type_name.as_str().into(), type_name.as_str().into())),
        _ => None,
    });
    checked.collect()
}

/// What each text means for each enum, and the rules of scalars.
fn leaves(types: &TypeSystem, rules: Vec<SchemaRule>) -> Result<(Enums, Cells), SchemaError> {
    let mut enums: HashMap<String, HashMap<Box<str>, Box<str>>> = types
        .enums()
        .map(|(name, values)| {
            (
                name.to_owned(),
                values.map(|value| (value.into(), value.into())).collect(),
            )
        })
        .collect();
    let mut scalars = Cells::default();
    for rule in rules {
        match rule {
            SchemaRule::Permission { .. } | SchemaRule::Cost { .. } => {}
            SchemaRule::Enum { type_name, texts } => {
                let Some(known) = enums.get_mut(&type_name) else {
                    return Err(SchemaError::BadRule { type_name });
                };
                for (text, value) in texts {
                    if known.get(&*value).is_none_or(|name| **name != *value) {
                        return Err(SchemaError::BadRule { type_name });
                    }
                    known.entry(text.into()).or_insert_with(|| value.into());
                }
            }
            SchemaRule::Scalar { type_name, cells, .. } => {
                if !types.is_own_scalar(&type_name) {
                    return Err(SchemaError::BadRule { type_name });
                }
                scalars.insert(type_name, cells);
            }
        }
    }
    let enums = enums
        .into_iter()
        .map(|(name, texts)| (name, Arc::new(texts)))
        .collect();
    Ok((enums, scalars))
}

impl std::fmt::Debug for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schema")
            .field("sdl_bytes", &self.inner.sdl.len())
            .finish_non_exhaustive()
    }
}
