//! The native half of a cursor: a result, the position in it, and rows as Python objects.

use std::ops::Range;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyList, PyString, PyTuple};
use pyo3::{PyTraverseError, PyVisit};

use super::Answer;
use super::cast::{self, Fault, Reader, Rule};
use super::column::Column;

/// The base of the driver's class `cursor`: all that a fetch needs.
///
/// The Python half executes and calls `_load` with the answer. Everything here may be used from any thread or
/// greenlet; casters and row factories are the user's code and run without a lock held.
#[pyclass(frozen, subclass, module = "puff", name = "Cursor")]
pub(crate) struct Cursor {
    state: Mutex<State>,
}

struct State {
    /// The result, if the last statement gave one.
    result: Option<Arc<ResultSet>>,
    /// The row that comes next.
    position: usize,
    rowcount: i64,
    answer: Option<Py<Answer>>,
    connection: Option<Py<PyAny>>,
    closed: bool,
    arraysize: i64,
    row_factory: Option<Py<PyAny>>,
    tzinfo_factory: Py<PyAny>,
    string_types: Option<Py<PyAny>>,
    binary_types: Option<Py<PyAny>>,
}

impl State {
    fn connection<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.connection
            .as_ref()
            .map(|connection| connection.bind(py).clone())
    }

    /// The next rows, at most `limit`; none without a result.
    fn claim<'py>(&mut self, py: Python<'py>, limit: usize) -> Option<Batch<'py>> {
        let result = self.result.clone()?;
        let start = self.position;
        let end = start.saturating_add(limit).min(result.len()).max(start);
        self.position = end;
        Some(Batch {
            result,
            rows: start..end,
            row_factory: self.row_factory.as_ref().map(|factory| factory.bind(py).clone()),
            tzinfo_factory: self.tzinfo_factory.bind(py).clone(),
        })
    }
}

/// # Errors
/// `InterfaceError` if the cursor is closed, or its connection.
fn check(py: Python<'_>, mut closed: bool, connection: Option<Bound<'_, PyAny>>) -> PyResult<()> {
    if let Some(connection) = connection.filter(|_| !closed) {
        closed = connection.getattr(intern!(py, "closed"))?.is_truthy()?;
    }
    if closed {
        Err(Fault::Interface.raise(py, "cursor already closed"))
    } else {
        Ok(())
    }
}

/// Rows, and how to read them.
struct ResultSet {
    answer: Py<Answer>,
    /// One for each column.
    rules: Vec<Rule>,
    /// Python's name of the client encoding, unless it is UTF-8.
    codec: Option<Box<str>>,
    description: PyOnceLock<Py<PyTuple>>,
}

impl ResultSet {
    fn len(&self) -> usize {
        self.answer.get().rows().len()
    }
}

/// Rows that a fetch has claimed, and what it takes to make them.
struct Batch<'py> {
    result: Arc<ResultSet>,
    rows: Range<usize>,
    row_factory: Option<Bound<'py, PyAny>>,
    tzinfo_factory: Bound<'py, PyAny>,
}

impl Cursor {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// # Errors
    /// `InterfaceError` if the cursor is closed, or its connection.
    fn check_open(&self, py: Python<'_>) -> PyResult<()> {
        let (closed, connection) = {
            let state = self.state();
            (state.closed, state.connection(py))
        };
        check(py, closed, connection)
    }

    /// Claims the next rows, at most `limit`.
    fn claim<'py>(&self, py: Python<'py>, limit: usize) -> PyResult<Batch<'py>> {
        let (closed, connection, batch) = {
            let mut state = self.state();
            let batch = state.claim(py, limit);
            (state.closed, state.connection(py), batch)
        };
        check(py, closed, connection)?;
        batch.ok_or_else(|| Fault::Programming.raise(py, "no results to fetch"))
    }

    /// Makes the claimed rows and hands each to `sink`.
    ///
    /// After an error the position is behind the row that failed, as in psycopg2.
    fn produce<'py>(
        slf: &Bound<'py, Self>,
        batch: &Batch<'py>,
        mut sink: impl FnMut(Bound<'py, PyAny>),
    ) -> PyResult<()> {
        let py = slf.py();
        let result = &*batch.result;
        let rows = result.answer.get().rows();
        let reader = Reader::new(
            slf.clone().into_any(),
            batch.tzinfo_factory.clone(),
            result.codec.as_deref(),
        );
        let cell = |row, (column, rule)| cast::cast(rule, rows.cell(row, column), &reader);
        let make = |row: usize| -> PyResult<Bound<'py, PyAny>> {
            let columns = result.rules.iter().enumerate();
            let Some(factory) = &batch.row_factory else {
                // Straight into the tuple. After a failure the rest is filled with None, and let go of.
                let mut failure = None;
                let cells = columns.map(|column| match failure {
                    None => cell(row, column).unwrap_or_else(|error| {
                        failure = Some(error);
                        py.None().into_bound(py)
                    }),
                    Some(_) => py.None().into_bound(py),
                });
                let made = PyTuple::new(py, cells)?;
                return failure.map_or(Ok(made.into_any()), Err);
            };
            let made = factory.call1((slf,))?;
            for column in columns {
                made.set_item(column.0, cell(row, column)?)?;
            }
            Ok(made)
        };
        for row in batch.rows.clone() {
            match make(row) {
                Ok(made) => sink(made),
                Err(error) => {
                    let mut state = slf.get().state();
                    if state
                        .result
                        .as_ref()
                        .is_some_and(|now| Arc::ptr_eq(now, &batch.result))
                    {
                        state.position = row + 1;
                    }
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn next_row<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        let batch = slf.get().claim(slf.py(), 1)?;
        let mut row = None;
        Cursor::produce(slf, &batch, |made| row = Some(made))?;
        Ok(row)
    }

    fn next_rows<'py>(slf: &Bound<'py, Self>, limit: usize) -> PyResult<Bound<'py, PyList>> {
        let batch = slf.get().claim(slf.py(), limit)?;
        let mut rows = Vec::with_capacity(batch.rows.len());
        Cursor::produce(slf, &batch, |made| rows.push(made))?;
        PyList::new(slf.py(), rows)
    }

    /// The dicts of casters that come before the global one: the cursor's own, the connection's.
    fn dicts<'py>(
        &self,
        py: Python<'py>,
        connection: Option<&Bound<'py, PyAny>>,
    ) -> PyResult<[Option<Bound<'py, PyDict>>; 2]> {
        let own = self
            .state()
            .string_types
            .as_ref()
            .map(|dict| dict.bind(py).clone());
        let theirs = match connection {
            Some(connection) => connection.getattr_opt(intern!(py, "string_types"))?,
            None => None,
        };
        Ok([own, theirs].map(|dict| {
            let dict = dict.and_then(|dict| dict.cast_into::<PyDict>().ok());
            dict.filter(|dict| !dict.is_empty())
        }))
    }
}

#[pymethods]
impl Cursor {
    /// Takes any arguments: subclasses choose those of their `__init__`.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(
        py: Python<'_>,
        _args: &Bound<'_, PyTuple>,
        _kwargs: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<Self> {
        Ok(Cursor {
            state: Mutex::new(State {
                result: None,
                position: 0,
                rowcount: -1,
                answer: None,
                connection: None,
                closed: false,
                arraysize: 1,
                row_factory: None,
                tzinfo_factory: cast::default_factory(py)?.clone().unbind(),
                string_types: None,
                binary_types: None,
            }),
        })
    }

    /// Takes the answer to a statement, or None to forget the last one.
    ///
    /// The casters of the columns are chosen here, by the cursor's `string_types`, the connection's, and the
    /// global ones. The connection's `_codec` names the client encoding for Python.
    #[pyo3(signature = (answer, connection))]
    fn _load(&self, answer: Option<Bound<'_, Answer>>, connection: &Bound<'_, PyAny>) -> PyResult<()> {
        let py = connection.py();
        let mut rowcount = -1;
        let mut result = None;
        if let Some(answer) = &answer {
            let rows = answer.get().rows();
            let count = rows.tag().rows();
            rowcount = count.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1);
            if rows.has_result_set() {
                rowcount = i64::try_from(rows.len()).unwrap_or(i64::MAX);
                let dicts = self.dicts(py, Some(connection))?;
                let mut rules = Vec::with_capacity(rows.columns().len());
                for column in rows.columns() {
                    rules.push(match cast::find(column.type_oid, &dicts, py)? {
                        Some(caster) => caster.get().rule.clone_ref(py),
                        None => Rule::Builtin(cast::Builtin::Text),
                    });
                }
                let codec = connection.getattr(intern!(py, "_codec"))?;
                let codec = codec.cast::<PyString>()?.to_str()?;
                result = Some(Arc::new(ResultSet {
                    answer: answer.clone().unbind(),
                    rules,
                    codec: (codec != "utf_8").then(|| codec.into()),
                    description: PyOnceLock::new(),
                }));
            }
        }
        let answer = answer.map(Bound::unbind);
        let connection = Some(connection.clone().unbind());
        let mut state = self.state();
        // What was there before may run Python code when it goes: that is left for after the lock.
        let before = (
            std::mem::replace(&mut state.result, result),
            std::mem::replace(&mut state.answer, answer),
            std::mem::replace(&mut state.connection, connection),
        );
        (state.position, state.rowcount) = (0, rowcount);
        drop(state);
        drop(before);
        Ok(())
    }

    /// Sets `rowcount`: after `executemany` and COPY it is more than one answer tells.
    fn _set_rowcount(&self, rowcount: i64) {
        self.state().rowcount = rowcount;
    }

    /// Whether the cursor was closed; set by `close()`.
    #[getter(_closed)]
    fn is_closed(&self) -> bool {
        self.state().closed
    }

    #[setter(_closed)]
    fn set_closed(&self, closed: bool) {
        self.state().closed = closed;
    }

    /// The next row, or None after the last.
    ///
    /// # Errors
    /// `ProgrammingError` if the last statement gave no result, `InterfaceError` if the cursor is closed, and
    /// what casters raise.
    fn fetchone<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Cursor::next_row(slf)
    }

    /// The next `size` rows; `arraysize` of them by default.
    #[pyo3(signature = (size=None))]
    fn fetchmany<'py>(slf: &Bound<'py, Self>, size: Option<i64>) -> PyResult<Bound<'py, PyList>> {
        let size = size.unwrap_or_else(|| slf.get().state().arraysize);
        // Less than nothing is everything, as in psycopg2.
        Cursor::next_rows(slf, usize::try_from(size).unwrap_or(usize::MAX))
    }

    /// All rows that were not fetched yet.
    fn fetchall<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyList>> {
        Cursor::next_rows(slf, usize::MAX)
    }

    fn __enter__(slf: Bound<'_, Self>) -> Bound<'_, Self> {
        slf
    }

    fn __iter__<'py>(slf: Bound<'py, Self>) -> PyResult<Bound<'py, Self>> {
        slf.get().check_open(slf.py())?;
        Ok(slf)
    }

    fn __next__<'py>(slf: &Bound<'py, Self>) -> PyResult<Option<Bound<'py, PyAny>>> {
        Cursor::next_row(slf)
    }

    /// Moves to another row of the result: by `value` rows, or to row `value` if `mode` is `"absolute"`.
    #[pyo3(signature = (value, mode="relative"))]
    fn scroll(&self, py: Python<'_>, value: i32, mode: &str) -> PyResult<()> {
        self.check_open(py)?;
        let mut state = self.state();
        let here = match mode {
            "relative" => i64::try_from(state.position).unwrap_or(i64::MAX),
            "absolute" => 0,
            _ => {
                drop(state);
                return Err(Fault::Programming.raise(py, "scroll mode must be 'relative' or 'absolute'"));
            }
        };
        let rows = state.result.as_ref().map_or(0, |result| result.len());
        let target = usize::try_from(here.saturating_add(i64::from(value)));
        match target.ok().filter(|target| *target < rows) {
            Some(target) => state.position = target,
            None => {
                drop(state);
                return Err(Fault::Programming.raise(py, "scroll destination out of bounds"));
            }
        }
        Ok(())
    }

    /// Casts text as a cell of the type `oid` would be.
    fn cast<'py>(slf: &Bound<'py, Self>, oid: u32, value: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        let connection = slf.as_any().getattr_opt(intern!(py, "connection"))?;
        let dicts = slf.get().dicts(py, connection.as_ref())?;
        match cast::find(oid, &dicts, py)? {
            Some(caster) => cast::cast_object(&caster.get().rule, value, slf.clone().into_any()),
            None => cast::cast_object(&Rule::Builtin(cast::Builtin::Text), value, slf.clone().into_any()),
        }
    }

    /// The columns of the result, as a tuple of `Column`; None if there is no result.
    #[getter]
    fn description(&self, py: Python<'_>) -> PyResult<Option<Py<PyTuple>>> {
        let result = self.state().result.clone();
        let Some(result) = result else { return Ok(None) };
        let description = result.description.get_or_try_init(py, || {
            let columns = result.answer.get().rows().columns().iter();
            let columns = columns
                .map(|column| Bound::new(py, Column::describe(py, column)?))
                .collect::<PyResult<Vec<_>>>();
            Ok::<_, PyErr>(PyTuple::new(py, columns?)?.unbind())
        })?;
        Ok(Some(description.clone_ref(py)))
    }

    /// How many rows the last statement gave or changed; -1 if that is not known.
    #[getter]
    fn rowcount(&self) -> i64 {
        self.state().rowcount
    }

    /// The number of the row that comes next, from 0.
    #[getter]
    fn rownumber(&self) -> usize {
        self.state().position
    }

    /// The server's command tag of the last statement, such as `INSERT 0 3`; None before the first.
    #[getter]
    fn statusmessage(&self, py: Python<'_>) -> Option<String> {
        let answer = self.state().answer.as_ref().map(|answer| answer.clone_ref(py));
        answer.map(|answer| answer.get().rows().tag().as_str().to_owned())
    }

    /// How many rows `fetchmany` gives by default.
    #[getter]
    fn get_arraysize(&self) -> i64 {
        self.state().arraysize
    }

    #[setter]
    fn set_arraysize(&self, arraysize: i64) {
        self.state().arraysize = arraysize;
    }

    /// Called with the cursor, makes an object per row, which is filled by index; None for tuples.
    #[getter]
    fn get_row_factory(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state().row_factory.as_ref().map(|it| it.clone_ref(py))
    }

    #[setter]
    fn set_row_factory(&self, factory: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut self.state().row_factory, factory);
        drop(before);
    }

    /// Called with an offset (a `timedelta`), makes the `tzinfo` of a time; None for naive times.
    #[getter]
    fn get_tzinfo_factory(&self, py: Python<'_>) -> Py<PyAny> {
        self.state().tzinfo_factory.clone_ref(py)
    }

    #[setter]
    fn set_tzinfo_factory(&self, factory: Py<PyAny>) {
        let before = std::mem::replace(&mut self.state().tzinfo_factory, factory);
        drop(before);
    }

    /// Casters of this cursor alone, by OID; None if there are none.
    #[getter]
    fn get_string_types(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state().string_types.as_ref().map(|it| it.clone_ref(py))
    }

    #[setter]
    fn set_string_types(&self, types: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut self.state().string_types, types);
        drop(before);
    }

    /// There for psycopg2's name: no column is read in binary.
    #[getter]
    fn get_binary_types(&self, py: Python<'_>) -> Option<Py<PyAny>> {
        self.state().binary_types.as_ref().map(|it| it.clone_ref(py))
    }

    #[setter]
    fn set_binary_types(&self, types: Option<Py<PyAny>>) {
        let before = std::mem::replace(&mut self.state().binary_types, types);
        drop(before);
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        // Who holds the lock is not in Python code, and lets go of it at once; the collector comes again.
        let Some(state) = self.state.try_lock() else {
            return Ok(());
        };
        visit.call(&state.answer)?;
        visit.call(&state.connection)?;
        visit.call(&state.row_factory)?;
        visit.call(&state.tzinfo_factory)?;
        visit.call(&state.string_types)?;
        visit.call(&state.binary_types)
    }

    fn __clear__(&self) {
        let Some(mut state) = self.state.try_lock() else {
            return;
        };
        let gone = (
            state.result.take(),
            state.answer.take(),
            state.connection.take(),
            state.row_factory.take(),
            state.string_types.take(),
            state.binary_types.take(),
        );
        drop(state);
        drop(gone);
    }
}
