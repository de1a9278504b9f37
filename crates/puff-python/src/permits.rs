//! Permits that greenlets and threads take and give back: the native half of `puff._sync.Semaphore`.
//!
//! To take one that is free, and to give one back, takes no frame of Python; to wait for one is Python's part.

use std::collections::VecDeque;

use parking_lot::Mutex;
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

use crate::waiter::Waiter;

/// A number of permits, and who waits for one. Any thread or greenlet may use it.
#[pyclass(frozen, subclass, module = "puff", name = "Permits")]
pub(crate) struct Permits {
    state: Mutex<State>,
}

struct State {
    free: usize,
    /// How many there are, if nobody may give back more than was taken.
    most: Option<usize>,
    /// In turn; only while none is free.
    waiting: VecDeque<Py<Waiter>>,
}

impl Permits {
    /// Passes a permit on to who waits longest, or keeps it; false if it has all of them already.
    fn hand_over(&self) -> bool {
        loop {
            let next = {
                let mut state = self.state.lock();
                let next = state.waiting.pop_front();
                if next.is_none() {
                    if state.most.is_some_and(|most| state.free >= most) {
                        return false;
                    }
                    state.free += 1;
                }
                next
            };
            // Without the lock: a waiter that goes may take a greenlet with it, which is Python code.
            if next.is_none_or(give) {
                return true;
            }
        }
    }
}

/// Whether it was still waited for.
fn give(waiter: Py<Waiter>) -> bool {
    Waiter::complete(waiter, Box::new(|py| Ok(py.None())))
}

#[pymethods]
impl Permits {
    /// One permit. Takes any arguments: subclasses choose those of their `__init__`.
    #[new]
    #[pyo3(signature = (*_args, **_kwargs))]
    fn new(_args: &Bound<'_, PyTuple>, _kwargs: Option<&Bound<'_, PyDict>>) -> Permits {
        Permits {
            state: Mutex::new(State {
                free: 1,
                most: None,
                waiting: VecDeque::new(),
            }),
        }
    }

    /// Sets how many there are, before the first is taken; if `bounded`, there are never more.
    #[pyo3(signature = (free, bounded))]
    fn _open(&self, free: usize, bounded: bool) {
        let mut state = self.state.lock();
        (state.free, state.most) = (free, bounded.then_some(free));
    }

    /// How many can be taken at once.
    #[getter(_free)]
    fn free(&self) -> usize {
        self.state.lock().free
    }

    /// Takes a permit if one is free; whether it did.
    fn _take(&self) -> bool {
        let mut state = self.state.lock();
        let taken = state.free > 0;
        state.free -= usize::from(taken);
        taken
    }

    /// Completes `waiter` once it has a permit.
    fn _enter(&self, waiter: Py<Waiter>) {
        {
            let mut state = self.state.lock();
            if state.free == 0 {
                state.waiting.push_back(waiter);
                return;
            }
            state.free -= 1;
        }
        if !give(waiter) {
            self.hand_over();
        }
    }

    /// A permit came, but who waited for it has gone.
    fn _lost(&self, _value: &Bound<'_, PyAny>) {
        self.hand_over();
    }

    /// Gives a permit back, to who waits longest. `RuntimeError` if it is a lock's and nobody holds it.
    fn release(&self) -> PyResult<()> {
        match self.hand_over() {
            true => Ok(()),
            false => Err(PyRuntimeError::new_err("release of a lock that nobody holds")),
        }
    }

    #[pyo3(signature = (*_raised))]
    fn __exit__(&self, _raised: &Bound<'_, PyTuple>) -> PyResult<()> {
        self.release()
    }
}
