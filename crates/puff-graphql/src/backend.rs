//! The door between the engine and the world: who runs resolvers and statements.

use std::sync::Arc;

use crate::cell::{cell_value, column_names, find_column};
use crate::error::FieldError;
use crate::execute::json::member;
use crate::page::Page;
use crate::permission::{PermissionCall, Permit};
use crate::plan::{ObjectPlan, Origin, Plan, PlannedResolver};
use crate::rows::Rows;
use crate::table::{Nested, Selection, Table, Wanted};
use crate::value::{Arguments, Value};

/// Whoever runs resolvers and SQL for the engine, which itself does no I/O.
///
/// The futures are polled in the task that called [`Engine::execute`](crate::Engine::execute); independent
/// layers are polled concurrently. Dropping that task drops them: an implementation must then cancel or
/// finish on its own.
pub trait Backend: Send + Sync + Sized + 'static {
    /// What belongs to one request: headers, the authenticated user, a connection.
    type Context: Clone + Send + Sync + 'static;
    /// The result of a statement.
    type Rows: Rows;
    /// One statement parameter.
    type Param: Send + 'static;
    /// A handle on host objects that stand behind a [`Table`].
    type Objects: Clone + Send + Sync + 'static;

    /// Runs a resolver once for a whole layer.
    ///
    /// # Errors
    /// The error is reported at the field of every parent.
    fn resolve(&self, call: Call<Self>) -> impl Future<Output = Result<Resolved<Self>, FieldError>> + Send;

    /// Runs one statement.
    ///
    /// # Errors
    /// The error is reported at the field of every parent.
    fn load(
        &self,
        context: &Self::Context,
        statement: Statement<Self>,
    ) -> impl Future<Output = Result<Self::Rows, FieldError>> + Send;

    /// Makes values of the cells of one column, for a scalar whose rule is [`CellRule::Backend`].
    ///
    /// There is one value for each row, of which one may be [`Value::Error`] for its row alone.
    ///
    /// # Errors
    /// The error is reported at the field in every row. By default there is nothing but an error.
    ///
    /// [`CellRule::Backend`]: crate::CellRule::Backend
    fn convert(&self, cells: Cells<Self>) -> impl Future<Output = Result<Vec<Value>, FieldError>> + Send {
        let message = format!("the scalar {} cannot be made of cells", cells.scalar);
        std::future::ready(Err(FieldError::new("BAD_VALUE", message)))
    }

    /// Says whether what is guarded may be shown: once for a layer, before anything of it is asked for.
    ///
    /// There is one answer for each of the `calls`, in their order. What has no answer is not shown, and by default
    /// nothing is.
    fn permit(
        &self,
        _context: &Self::Context,
        _calls: Vec<PermissionCall<Self>>,
    ) -> impl Future<Output = Vec<Permit>> + Send {
        std::future::ready(Vec::new())
    }

    /// Which of these values their scalars do not take: for each a sentence that says why, or `None`.
    ///
    /// Asked before anything of an operation runs, for the scalars whose [`SchemaRule::Scalar`] says so; once about
    /// the literals of a document, always about variables. By default all are taken.
    ///
    /// # Errors
    /// The values could not be checked: the request is refused.
    ///
    /// [`SchemaRule::Scalar`]: crate::SchemaRule::Scalar
    fn check(
        &self,
        given: Vec<Given>,
    ) -> impl Future<Output = Result<Vec<Option<String>>, FieldError>> + Send {
        std::future::ready(Ok(vec![None; given.len()]))
    }

    /// An operation that is about to run, before anything of it does.
    ///
    /// # Errors
    /// The operation does not run then; the error is its only answer.
    fn begin(
        &self,
        _context: &Self::Context,
        _operation: Operation<'_>,
    ) -> impl Future<Output = Result<(), FieldError>> + Send {
        async { Ok(()) }
    }

    /// A part of an operation has been solved and is about to be answered: a root field of a mutation with all
    /// that is selected below it, or a whole query. `failed` is the first error of its layers.
    ///
    /// # Errors
    /// The error takes the place of the part in the answer.
    fn settle(
        &self,
        _context: &Self::Context,
        _failed: Option<FieldError>,
    ) -> impl Future<Output = Result<(), FieldError>> + Send {
        async { Ok(()) }
    }

    /// Statements of a resolver, or their rows, are not what they have to be: the backend may tell the author, and
    /// say in the errors where the resolver stands. There is at least one.
    fn blame(&self, _id: ResolverId, _errors: Vec<&mut FieldError>) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Makes a statement parameter from a value, for statements that are written down in the schema.
    ///
    /// A list becomes an SQL array.
    ///
    /// # Errors
    /// When the value has no SQL form.
    fn param(&self, value: &Value) -> Result<Self::Param, FieldError>;

    /// A parameter as a trace shows it to developers.
    fn show_param(&self, param: &Self::Param) -> Value {
        let _ = param;
        Value::str("?")
    }

    /// The name of a resolver as its author knows it, for traces.
    fn resolver_name(&self, id: ResolverId) -> Option<String> {
        let _ = id;
        None
    }
}

/// The number by which a backend knows a resolver.
///
/// Fields of several types may have the same resolver, such as one that they inherit from an interface: where
/// objects of these types lie in one layer, it is called once for all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResolverId(pub u32);

/// An operation, as far as a backend prepares for it.
#[derive(Clone, Copy)]
pub struct Operation<'p> {
    pub(crate) plan: &'p Plan,
}

impl Operation<'_> {
    /// Whether it is a mutation.
    pub fn is_mutation(&self) -> bool {
        self.plan.is_mutation
    }

    /// Whether it may call a resolver that is `wanted`.
    pub fn calls(&self, mut wanted: impl FnMut(ResolverId) -> bool) -> bool {
        calls(&self.plan.root, &mut wanted)
    }
}

fn calls(plan: &ObjectPlan, wanted: &mut impl FnMut(ResolverId) -> bool) -> bool {
    plan.children.iter().any(|child| {
        let here = match &child.origin {
            Origin::Resolver(resolver) => match resolver.kind {
                PlannedResolver::Call(id) => wanted(id),
                PlannedResolver::Sql(_) => false,
            },
            Origin::Attribute { .. } => false,
        };
        here || child.output.object().is_some_and(|object| calls(object, wanted))
    })
}

/// One call of a resolver: everything it may want to know.
pub struct Call<B: Backend> {
    /// Which resolver.
    pub id: ResolverId,
    /// The request.
    pub context: B::Context,
    /// The field's arguments.
    pub arguments: Arguments,
    /// The objects the field belongs to, at least one; `None` at a root field.
    pub parents: Option<Parents<B>>,
    /// What to read from the result if it is made of host objects.
    pub wanted: Arc<Wanted>,
    /// What of that the client selects this time.
    pub selection: Selection,
    /// The type and the field, for messages.
    pub field: FieldName,
    /// Whether the operation is a mutation: what it began should not be left half done.
    pub is_mutation: bool,
}

/// A field by its name and that of its type; prints as `Type.field`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldName {
    /// The object type.
    pub type_name: Arc<str>,
    /// The field.
    pub field_name: Arc<str>,
}

impl std::fmt::Display for FieldName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.type_name, self.field_name)
    }
}

/// The objects of one layer that a field is resolved for. Clones are cheap and share the data.
pub struct Parents<B: Backend> {
    source: ParentSource<B>,
    indexes: Indexes,
}

/// Where the parents' data is.
pub enum ParentSource<B: Backend> {
    /// The parents are rows of a statement.
    Rows(Arc<B::Rows>),
    /// The parents are host objects.
    Table {
        /// The objects.
        table: Arc<Table<B>>,
        /// The names of the attributes that the table's columns hold.
        attributes: Arc<[Arc<str>]>,
    },
}

impl<B: Backend> Clone for ParentSource<B> {
    fn clone(&self) -> Self {
        match self {
            Self::Rows(rows) => Self::Rows(rows.clone()),
            Self::Table { table, attributes } => Self::Table {
                table: table.clone(),
                attributes: attributes.clone(),
            },
        }
    }
}

impl<B: Backend> Clone for Parents<B> {
    fn clone(&self) -> Self {
        Self {
            source: self.source.clone(),
            indexes: self.indexes.clone(),
        }
    }
}

/// Which rows or objects of a source take part, ascending.
#[derive(Debug, Clone)]
pub(crate) enum Indexes {
    All(usize),
    Some(Arc<[u32]>),
}

impl<B: Backend> Parents<B> {
    pub(crate) fn new(source: ParentSource<B>, indexes: Indexes) -> Self {
        Self { source, indexes }
    }

    /// How many parents there are.
    pub fn len(&self) -> usize {
        self.indexes.len()
    }

    /// Whether there is no parent, which never happens in a [`Call`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows or objects that the parents are part of.
    pub fn source(&self) -> &ParentSource<B> {
        &self.source
    }

    /// The number of the `position`-th parent in the source: a row, or an object of the table.
    pub fn index(&self, position: usize) -> usize {
        self.indexes.get(position)
    }

    /// The numbers of all parents in the source, in order.
    pub fn indexes(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        self.indexes.iter()
    }

    /// The values of some columns or attributes: one list per name, with one value per parent.
    ///
    /// Of host objects the engine knows only the attributes that the query selects; for others ask the
    /// objects themselves, see [`Table::objects`].
    ///
    /// # Errors
    /// `MISSING_COLUMN` when the parents have no such column, with the names of those they have.
    pub fn values(&self, names: &[&str]) -> Result<Vec<Vec<Value>>, FieldError> {
        names.iter().map(|name| self.column(name)).collect()
    }

    fn column(&self, name: &str) -> Result<Vec<Value>, FieldError> {
        let missing = |what: &str, names: String| {
            FieldError::new(
                "MISSING_COLUMN",
                format!("the parents have no {what} `{name}` ({what}s: {names})"),
            )
        };
        match &self.source {
            ParentSource::Rows(rows) => {
                let column =
                    find_column(&**rows, name).ok_or_else(|| missing("column", column_names(&**rows)))?;
                let kind = rows.column_type(column);
                Ok(self
                    .indexes()
                    .map(|row| cell_value(&**rows, row, column, kind))
                    .collect())
            }
            ParentSource::Table { table, attributes } => match table.attribute(attributes, name) {
                Some(known) => Ok(self.indexes().map(|index| known.get(index).clone()).collect()),
                None => match &table.json {
                    Some(texts) => Ok(self.indexes().map(|index| member(&texts[index], name)).collect()),
                    None => Err(missing("attribute", attributes.join(", "))),
                },
            },
        }
    }
}

/// A value that a client gave for a scalar, in the document or in its variables.
#[derive(Debug, Clone, PartialEq)]
pub struct Given {
    /// The scalar.
    pub scalar: Arc<str>,
    /// The value, not null.
    pub value: Value,
}

/// The cells of one column, as the values of a scalar.
pub struct Cells<B: Backend> {
    /// The scalar's name in the schema.
    pub scalar: Arc<str>,
    /// The rows.
    pub rows: Arc<B::Rows>,
    /// The number of the column.
    pub column: usize,
    /// How many lists the field's type has around the scalar.
    pub list_depth: usize,
    /// The field, for messages.
    pub field: FieldName,
}

/// A statement to run.
pub struct Statement<B: Backend> {
    /// The text, with `$1`, `$2`... for the parameters.
    pub sql: Arc<str>,
    /// The parameters.
    pub params: Vec<B::Param>,
}

/// What a resolver returns for its layer.
pub enum Resolved<B: Backend> {
    /// Scalars, enum values and lists of them, for fields of such a type.
    Values {
        /// One per parent, or one alone; see `spread`.
        values: Vec<Value>,
        /// How the values go to the parents.
        spread: Spread,
    },
    /// Objects, for fields of an object type. The slots are one per parent, or one alone; see `spread`.
    Objects {
        /// The objects in their places.
        objects: Nested<B>,
        /// How the slots go to the parents.
        spread: Spread,
    },
    /// A statement whose rows are the result.
    Sql(SqlResult<B>),
}

/// How values go to parents. At a root field there is one value and both mean the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// One value per parent, in the order of the parents.
    PerParent,
    /// One value, the same for every parent.
    Shared,
}

/// A statement and how its rows go to the parents.
pub struct SqlResult<B: Backend> {
    /// The statement.
    pub statement: Statement<B>,
    /// The columns that tell which rows belong to which parent; without, each parent gets all rows.
    pub join: Option<Join>,
    /// The key values of the parents, one list per key with one value per parent.
    ///
    /// Needed where parents are host objects, which the engine cannot look into; ignored where the parents
    /// are rows.
    pub parent_values: Option<Vec<Vec<Value>>>,
    /// Where the field's object is a connection: what its rows are of that.
    pub page: Option<Page>,
}

/// Columns that join the rows of a statement to the parents, pairwise in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Join {
    /// Columns or attributes of the parents.
    pub parent_keys: Vec<String>,
    /// Columns of the statement's rows.
    pub child_keys: Vec<String>,
}

impl Indexes {
    /// Those of all objects that are marked.
    pub(crate) fn of(marks: &[bool]) -> Self {
        let marked = marks.iter().enumerate().filter(|(_, is)| **is);
        let found: Vec<u32> = marked.map(|(index, _)| index as u32).collect();
        Self::listed(found, marks.len())
    }

    /// Those in an ascending list, out of `all`.
    pub(crate) fn listed(list: Vec<u32>, all: usize) -> Self {
        if list.len() == all {
            Self::All(all)
        } else {
            Self::Some(list.into())
        }
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        (0..self.len()).map(|position| self.get(position))
    }

    pub(crate) fn len(&self) -> usize {
        match self {
            Self::All(len) => *len,
            Self::Some(indexes) => indexes.len(),
        }
    }

    pub(crate) fn get(&self, position: usize) -> usize {
        match self {
            Self::All(_) => position,
            Self::Some(indexes) => indexes[position] as usize,
        }
    }
}
