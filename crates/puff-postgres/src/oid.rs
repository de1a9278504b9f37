//! Object identifiers of PostgreSQL's built-in types, as they appear in [`Column::type_oid`].
//!
//! [`Column::type_oid`]: crate::Column::type_oid

/// A type's object identifier; 0 stands for none.
pub type Oid = u32;

macro_rules! oids {
    ($($name:ident $array:ident $type:literal = $oid:literal, $array_oid:literal;)*) => {
        $(
            #[doc = concat!("`", $type, "`")]
            pub const $name: Oid = $oid;
            #[doc = concat!("`", $type, "[]`")]
            pub const $array: Oid = $array_oid;
        )*

        /// The element type of a built-in array type.
        ///
        /// ```
        /// use puff_postgres::oid;
        /// assert_eq!(oid::array_element(oid::INT4_ARRAY), Some(oid::INT4));
        /// assert_eq!(oid::array_element(oid::INT4), None);
        /// ```
        pub const fn array_element(array: Oid) -> Option<Oid> {
            match array {
                $($array => Some($name),)*
                _ => None,
            }
        }

        /// The name of a built-in type that is listed here.
        ///
        /// ```
        /// use puff_postgres::oid;
        /// assert_eq!(oid::type_name(oid::INT4_ARRAY), Some("int4[]"));
        /// ```
        pub const fn type_name(oid: Oid) -> Option<&'static str> {
            match oid {
                $($name => Some($type), $array => Some(concat!($type, "[]")),)*
                _ => None,
            }
        }
    };
}

oids! {
    BOOL BOOL_ARRAY "bool" = 16, 1000;
    BYTEA BYTEA_ARRAY "bytea" = 17, 1001;
    CHAR CHAR_ARRAY "\"char\"" = 18, 1002;
    NAME NAME_ARRAY "name" = 19, 1003;
    INT8 INT8_ARRAY "int8" = 20, 1016;
    INT2 INT2_ARRAY "int2" = 21, 1005;
    INT4 INT4_ARRAY "int4" = 23, 1007;
    TEXT TEXT_ARRAY "text" = 25, 1009;
    OID OID_ARRAY "oid" = 26, 1028;
    JSON JSON_ARRAY "json" = 114, 199;
    FLOAT4 FLOAT4_ARRAY "float4" = 700, 1021;
    FLOAT8 FLOAT8_ARRAY "float8" = 701, 1022;
    INET INET_ARRAY "inet" = 869, 1041;
    BPCHAR BPCHAR_ARRAY "bpchar" = 1042, 1014;
    VARCHAR VARCHAR_ARRAY "varchar" = 1043, 1015;
    DATE DATE_ARRAY "date" = 1082, 1182;
    TIME TIME_ARRAY "time" = 1083, 1183;
    TIMESTAMP TIMESTAMP_ARRAY "timestamp" = 1114, 1115;
    TIMESTAMPTZ TIMESTAMPTZ_ARRAY "timestamptz" = 1184, 1185;
    INTERVAL INTERVAL_ARRAY "interval" = 1186, 1187;
    TIMETZ TIMETZ_ARRAY "timetz" = 1266, 1270;
    NUMERIC NUMERIC_ARRAY "numeric" = 1700, 1231;
    UUID UUID_ARRAY "uuid" = 2950, 2951;
    JSONB JSONB_ARRAY "jsonb" = 3802, 3807;
}

/// The type of a text literal whose type is not known yet.
pub const UNKNOWN: Oid = 705;
/// The pseudo-type of functions that return nothing.
pub const VOID: Oid = 2278;
