//! PostgreSQL's rows as the engine reads them.

use puff_graphql::{CellType, Rows, ScalarType};
use puff_postgres::oid::{self, Oid};

/// Rows with the meaning of their columns looked up once.
pub(crate) struct PgRows {
    rows: puff_postgres::Rows,
    types: Box<[CellType]>,
}

impl PgRows {
    pub(super) fn new(rows: puff_postgres::Rows) -> PgRows {
        let types = rows
            .columns()
            .iter()
            .map(|column| cell_type(column.type_oid))
            .collect();
        PgRows { rows, types }
    }

    pub(super) fn postgres(&self) -> &puff_postgres::Rows {
        &self.rows
    }
}

impl Rows for PgRows {
    fn len(&self) -> usize {
        self.rows.len()
    }

    fn columns(&self) -> usize {
        self.types.len()
    }

    fn column_name(&self, column: usize) -> &str {
        &self.rows.columns()[column].name
    }

    fn column_type(&self, column: usize) -> CellType {
        self.types[column]
    }

    #[inline]
    fn cell(&self, row: usize, column: usize) -> Option<&[u8]> {
        self.rows.cell(row, column)
    }
}

fn cell_type(type_oid: Oid) -> CellType {
    match oid::array_element(type_oid) {
        Some(element) => CellType::Array(scalar_type(element)),
        None => CellType::Scalar(scalar_type(type_oid)),
    }
}

fn scalar_type(type_oid: Oid) -> ScalarType {
    match type_oid {
        oid::BOOL => ScalarType::Bool,
        oid::INT2 => ScalarType::Int2,
        oid::INT4 => ScalarType::Int4,
        oid::INT8 => ScalarType::Int8,
        oid::OID => ScalarType::Oid,
        oid::FLOAT4 => ScalarType::Float4,
        oid::FLOAT8 => ScalarType::Float8,
        oid::NUMERIC => ScalarType::Numeric,
        oid::TEXT | oid::VARCHAR | oid::NAME => ScalarType::Text,
        oid::BPCHAR => ScalarType::Bpchar,
        oid::JSON | oid::JSONB => ScalarType::Json,
        oid::UUID => ScalarType::Uuid,
        oid::BYTEA => ScalarType::Bytea,
        oid::DATE => ScalarType::Date,
        oid::TIME | oid::TIMETZ => ScalarType::Time,
        oid::TIMESTAMP => ScalarType::Timestamp,
        oid::TIMESTAMPTZ => ScalarType::TimestampTz,
        oid::INTERVAL => ScalarType::Interval,
        _ => ScalarType::Other,
    }
}
