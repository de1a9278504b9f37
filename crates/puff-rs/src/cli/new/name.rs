//! Names that are right for a folder, a Python package and a crate at once.

/// Names of modules that would hide what programs need, besides Python's keywords and those of Rust that
/// cargo refuses as the name of a crate.
const TAKEN: &[&str] = &[
    // Modules of Python's that a project's package would hide from every import, and packages we bring.
    "abc",
    "array",
    "ast",
    "asyncio",
    "calendar",
    "code",
    "codecs",
    "collections",
    "copy",
    "csv",
    "dataclasses",
    "datetime",
    "decimal",
    "django",
    "email",
    "enum",
    "flask",
    "functools",
    "graphql",
    "greenlet",
    "hashlib",
    "html",
    "http",
    "inspect",
    "io",
    "itertools",
    "json",
    "logging",
    "math",
    "operator",
    "os",
    "pathlib",
    "pickle",
    "platform",
    "puff",
    "puff_py",
    "queue",
    "random",
    "re",
    "secrets",
    "select",
    "signal",
    "site",
    "socket",
    "sqlite3",
    "ssl",
    "string",
    "struct",
    "subprocess",
    "sys",
    "tempfile",
    "test",
    "tests",
    "threading",
    "time",
    "token",
    "tokenize",
    "types",
    "typing",
    "unittest",
    "urllib",
    "uuid",
    "warnings",
    "wsgiref",
    "xml",
    "zipfile",
    // Python's keywords.
    "and",
    "as",
    "assert",
    "async",
    "await",
    "break",
    "class",
    "continue",
    "def",
    "del",
    "elif",
    "else",
    "except",
    "finally",
    "for",
    "from",
    "global",
    "if",
    "import",
    "in",
    "is",
    "lambda",
    "nonlocal",
    "not",
    "or",
    "pass",
    "raise",
    "return",
    "try",
    "while",
    "with",
    "yield",
    // Rust's, and crates that are always there or in the scaffold.
    "abstract",
    "alloc",
    "become",
    "box",
    "const",
    "core",
    "crate",
    "do",
    "dyn",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "gen",
    "impl",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc_macro",
    "pub",
    "puff_rs",
    "pyo3",
    "ref",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "trait",
    "true",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    // Folders of cargo's.
    "build",
    "deps",
    "examples",
    "incremental",
];

const LONGEST: usize = 64;

/// The Python package for a project's name: the name, with underscores.
///
/// # Errors
/// Why the name is none: the rest of a sentence.
pub(super) fn package(name: &str) -> Result<String, String> {
    let right = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_'))
        && name.ends_with(|c: char| c.is_ascii_alphanumeric());
    if !right {
        return Err(
            "is not a name: use small letters, digits, - and _, with a letter first and no - or _ last"
                .into(),
        );
    }
    if name.len() > LONGEST {
        return Err(format!("is too long: at most {LONGEST} characters"));
    }
    let package = name.replace('-', "_");
    if TAKEN.contains(&package.as_str()) {
        return Err("is taken by Python, by Rust or by a package that the project uses".into());
    }
    Ok(package)
}

#[cfg(test)]
mod tests {
    use super::package;

    #[test]
    fn dashes_become_underscores() {
        assert_eq!(package("my-shop2").unwrap(), "my_shop2");
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let long = "a".repeat(65);
        let wrong = [
            "", "Shop", "2shop", "-shop", "shop-", "shop_", "my shop", "../shop", "shop/x", "shöp",
            "shop.py", "json", "class", "fn", "puff-rs", &long,
        ];
        for name in wrong {
            assert!(package(name).is_err(), "{name:?}");
        }
    }
}
