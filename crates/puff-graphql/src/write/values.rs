//! The values in an answer: from Python, from PostgreSQL's text, and lists of both.

use super::answer::{Null, Writer, Written};
use super::cell::{CellWriter, ScalarWriter};
use super::errors::{Path, Step};
use super::leaf::leaf_value;
use crate::array::{ArrayEvent, ArrayReader, BadArray};
use crate::backend::Backend;
use crate::error::FieldError;
use crate::plan::{FieldPlan, Leaf};
use crate::table::Shape;
use crate::value::Value;

const ONE: &Shape = &Shape::One { nullable: true };

impl<B: Backend> Writer<'_, B> {
    pub(super) fn value(
        &mut self,
        value: &Value,
        shape: &Shape,
        field: &FieldPlan,
        path: &Path<'_>,
    ) -> Written {
        let nullable = shape.nullable();
        match (value, shape) {
            (Value::Null, _) => self.null(nullable, field, path),
            (Value::Error(error), _) => self.fail(error, nullable, field, path),
            (Value::List(items), Shape::List { item, .. }) => self.guarded(nullable, |writer| {
                writer.list(items.len(), path, |writer, place, path| {
                    writer.value(&items[place], item, field, path)
                })
            }),
            (Value::Json(text), Shape::List { .. }) => self.parsed(text.as_bytes(), shape, field, path),
            (_, Shape::List { .. }) => self.mismatch(field, "a list", "a single value", shape, path),
            (_, Shape::One { .. }) => {
                let Some(leaf) = &field.leaf else {
                    return Err(Null);
                };
                match leaf_value(&mut self.out, leaf, value) {
                    Ok(()) => Ok(()),
                    Err(error) => self.fail(&error, nullable, field, path),
                }
            }
        }
    }

    #[inline]
    pub(super) fn cell(
        &mut self,
        text: Option<&[u8]>,
        writer: &CellWriter,
        shape: &Shape,
        field: &FieldPlan,
        path: &Path<'_>,
    ) -> Written {
        let nullable = shape.nullable();
        let Some(text) = text else {
            return self.null(nullable, field, path);
        };
        let Some(leaf) = &field.leaf else {
            return Err(Null);
        };
        match writer {
            CellWriter::One(writer) => match writer.write(&mut self.out, text, leaf) {
                Ok(()) => Ok(()),
                Err(error) => self.fail(&error, nullable, field, path),
            },
            CellWriter::Array(writer) => self.array(text, *writer, leaf, shape, field, path),
            CellWriter::Parsed => self.parsed(text, shape, field, path),
        }
    }

    fn parsed(&mut self, text: &[u8], shape: &Shape, field: &FieldPlan, path: &Path<'_>) -> Written {
        match serde_json::from_slice::<serde_json::Value>(text) {
            Ok(json) => self.value(&Value::from(json), shape, field, path),
            Err(error) => {
                let error = FieldError::new("BAD_VALUE", format!("{}: not valid JSON: {error}", field.name));
                self.fail(&error, shape.nullable(), field, path)
            }
        }
    }

    fn array(
        &mut self,
        text: &[u8],
        writer: ScalarWriter,
        leaf: &Leaf,
        shape: &Shape,
        field: &FieldPlan,
        path: &Path<'_>,
    ) -> Written {
        let nullable = shape.nullable();
        let start = self.out.len();
        let written = ArrayReader::new(text).and_then(|mut reader| {
            reader.next()?;
            self.items(&mut reader, writer, leaf, shape, field, path)
        });
        match written {
            Ok(Ok(())) => Ok(()),
            Ok(Err(Null)) => {
                self.out.truncate(start);
                self.guarded(nullable, |_| Err(Null))
            }
            Err(BadArray) => {
                self.out.truncate(start);
                let message = format!("{}: the array does not fit the field's type", field.name);
                self.fail(&FieldError::new("BAD_VALUE", message), nullable, field, path)
            }
        }
    }

    /// The elements up to the end of one level. The inner result is that of the spec's nulls.
    fn items(
        &mut self,
        reader: &mut ArrayReader<'_>,
        writer: ScalarWriter,
        leaf: &Leaf,
        shape: &Shape,
        field: &FieldPlan,
        path: &Path<'_>,
    ) -> Result<Written, BadArray> {
        // An array under a custom scalar that is not a list has no declared elements: any depth, any null.
        let (item, is_free) = match shape {
            Shape::List { item, .. } => (&**item, false),
            Shape::One { .. } => (ONE, true),
        };
        self.out.push(b'[');
        for place in 0.. {
            let start = self.out.len();
            let path = Path {
                parent: Some(path),
                step: Step::Index(place),
            };
            let event = reader.next()?.ok_or(BadArray)?;
            if event == ArrayEvent::Close {
                break;
            }
            if place > 0 {
                self.out.push(b',');
            }
            let one = match event {
                ArrayEvent::Null => self.null(item.nullable(), field, &path),
                ArrayEvent::Item(text) if item.list_depth() == 0 => {
                    match writer.write(&mut self.out, &text, leaf) {
                        Ok(()) => Ok(()),
                        Err(error) => self.fail(&error, item.nullable(), field, &path),
                    }
                }
                ArrayEvent::Open if item.list_depth() > 0 || is_free => {
                    let inner = self.items(reader, writer, leaf, item, field, &path)?;
                    if inner.is_err() {
                        self.out.truncate(start + usize::from(place > 0));
                    }
                    self.guarded(item.nullable(), |_| inner)
                }
                _ => return Err(BadArray),
            };
            if one.is_err() {
                // What follows in this list is not looked at any more, but another list may come after it.
                reader.skip_level()?;
                return Ok(one);
            }
        }
        self.out.push(b']');
        Ok(Ok(()))
    }
}
