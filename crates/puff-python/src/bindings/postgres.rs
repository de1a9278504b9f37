//! Statements from Python on the program's pool.

use puff_postgres::{Param, Rows};
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

async fn query(runtime: Runtime, sql: String, params: Vec<Param>) -> Result<Rows, BoxError> {
    let pool = runtime.services().postgres().await?;
    let connection = pool.get().await?;
    Ok(connection.query(&sql, &params).await?)
}

#[pyfunction]
fn postgres_query(sql: String, params: &Bound<'_, PyAny>, waiter: Py<Waiter>) -> PyResult<()> {
    let (runtime, params) = (Runtime::current()?, objects_to_params(params)?);
    start(
        waiter,
        async move { Ok(Dicts(query(runtime, sql, params).await?)) },
    );
    Ok(())
}

#[pyfunction]
fn postgres_execute(sql: String, params: &Bound<'_, PyAny>, waiter: Py<Waiter>) -> PyResult<()> {
    let (runtime, params) = (Runtime::current()?, objects_to_params(params)?);
    start(waiter, async move {
        let rows = query(runtime, sql, params).await?;
        Ok(rows.tag().rows().unwrap_or_default())
    });
    Ok(())
}

#[pyfunction]
fn postgres_script(sql: String, waiter: Py<Waiter>) -> PyResult<()> {
    let runtime = Runtime::current()?;
    start(waiter, async move {
        let connection = runtime.services().postgres().await?.get().await?;
        connection.simple_query(&sql).await?;
        Ok(())
    });
    Ok(())
}

pub(super) fn populate(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(postgres_query, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_execute, module)?)?;
    module.add_function(wrap_pyfunction!(postgres_script, module)?)
}
