//! Statements from Python on the program's pools.

use puff_postgres::{Param, Pool, PoolMetrics, PoolStatus, Rows};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};

use crate::convert::{cell_to_object, objects_to_params};
use crate::greenlet::{BoxError, start};
use crate::runtime::Runtime;
use crate::waiter::Waiter;

/// Rows as a list of dicts; converted on the hub, when the greenlet resumes.
struct Dicts(Rows);

impl<'py> IntoPyObject<'py> for Dicts {
    type Target = PyList;
    type Output = Bound<'py, PyList>;
    type Error = PyErr;

    fn into_pyobject(self, py: Python<'py>) -> PyResult<Self::Output> {
        let columns = self.0.columns();
        let names: Vec<_> = columns
            .iter()
            .map(|column| PyString::intern(py, &column.name))
            .collect();
        let list = PyList::empty(py);
        for row in 0..self.0.len() {
            let dict = PyDict::new(py);
            for (index, column) in columns.iter().enumerate() {
                dict.set_item(
                    &names[index],
                    cell_to_object(py, column.type_oid, self.0.cell(row, index))?,
                )?;
            }
            list.append(dict)?;
        }
        Ok(list)
    }
}

/// The pool called `name`, the default one without.
async fn pool(runtime: &Runtime, name: Option<String>) -> Result<Pool, BoxError> {
    let services = runtime.services();
    Ok(match name {
        Some(name) => services.postgres_named(&name).await?,
        None => services.postgres().await?,
    })
}

/// A statement and the pool it is for.
struct Statement {
    runtime: Runtime,
    pool: Option<String>,
    sql: String,
    params: Vec<Param>,
}

impl Statement {
    fn new(pool: Option<String>, sql: String, params: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self {
            runtime: Runtime::current()?,
            pool,
            sql,
            params: objects_to_params(params)?,
        })
    }

    async fn run(self) -> Result<Rows, BoxError> {
        let connection = pool(&self.runtime, self.pool).await?.get().await?;
        Ok(connection.query(&self.sql, &self.params).await?)
    }
}

#[pyfunction]
fn postgres_query(
    name: Option<String>,
    sql: String,
    params: &Bound<'_, PyAny>,
    waiter: Py<Waiter>,
) -> PyResult<()> {
    let statement = Statement::new(name, sql, params)?;
    start(waiter, async move { Ok(Dicts(statement.run().await?)) });
    Ok(())
}

#[pyfunction]
fn postgres_execute(
    name: Option<String>,
    sql: String,
    params: &Bound<'_, PyAny>,
    waiter: Py<Waiter>,
) -> PyResult<()> {
    let statement = Statement::new(name, sql, params)?;
    start(waiter, async move {
        let rows = statement.run().await?;
        Ok(rows.tag().rows().unwrap_or_default())
    });
    Ok(())
}

#[pyfunction]
fn postgres_script(name: Option<String>, sql: String, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(waiter, async move {
        let connection = pool(&runtime, name).await?.get().await?;
        connection.simple_query(&sql).await?;
        Ok(())
    });
    Ok(())
}

/// A pool's state and what it has done, as a dict.
#[derive(IntoPyObject)]
struct Status {
    max_size: usize,
    size: usize,
    idle: usize,
    in_use: usize,
    connecting: usize,
    waiting: usize,
    acquired: u64,
    waited: u64,
    timed_out: u64,
    wait_time: f64,
    opened: u64,
    open_failed: u64,
    closed: Closed,
}

/// The connections that were closed, by reason.
#[derive(IntoPyObject)]
struct Closed {
    broken: u64,
    idle: u64,
    old: u64,
    discarded: u64,
    unclean: u64,
    drained: u64,
}

impl Status {
    fn new(now: PoolStatus, so_far: PoolMetrics) -> Status {
        let closed = so_far.closed;
        Status {
            max_size: now.max_size,
            size: now.size,
            idle: now.idle,
            in_use: now.in_use,
            connecting: now.connecting,
            waiting: now.waiting,
            acquired: so_far.acquired,
            waited: so_far.waited,
            timed_out: so_far.timed_out,
            wait_time: so_far.wait_time.as_secs_f64(),
            opened: so_far.opened,
            open_failed: so_far.open_failed,
            closed: Closed {
                broken: closed.broken,
                idle: closed.idle,
                old: closed.old,
                discarded: closed.discarded,
                unclean: closed.unclean,
                drained: closed.drained,
            },
        }
    }
}

#[pyfunction]
fn postgres_status(name: Option<String>, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(waiter, async move {
        let pool = pool(&runtime, name).await?;
        Ok(Status::new(pool.status(), pool.metrics()))
    });
    Ok(())
}

#[pyfunction]
fn postgres_dsn(name: Option<String>, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(
        waiter,
        async move { Ok(pool(&runtime, name).await?.server().dsn()) },
    );
    Ok(())
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(postgres_query, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_execute, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_script, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_status, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_dsn, module)?)
}
