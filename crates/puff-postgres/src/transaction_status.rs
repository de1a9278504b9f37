//! Where a connection stands between `BEGIN` and `COMMIT`.

/// The transaction state that the server reported last.
///
/// It comes from the server's own byte after every answer, never from reading the SQL, so it is right after
/// failures, functions and cancellations as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionStatus {
    /// No transaction is open.
    Idle,
    /// A transaction is open.
    InTransaction,
    /// A transaction is open and failed: everything but `ROLLBACK` is refused.
    Failed,
}

impl TransactionStatus {
    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            b'I' => Some(Self::Idle),
            b'T' => Some(Self::InTransaction),
            b'E' => Some(Self::Failed),
            _ => None,
        }
    }

    pub(crate) fn to_byte(self) -> u8 {
        match self {
            Self::Idle => b'I',
            Self::InTransaction => b'T',
            Self::Failed => b'E',
        }
    }
}
