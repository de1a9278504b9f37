//! The files of a new project, from templates with `{{name}}` in them.

/// The version of PyO3 that this version of Puff is built with, for the program's own `Cargo.toml`.
const PYO3: &str = "0.30";

/// What to make.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) rust: bool,
    pub(super) django: bool,
}

/// A file: its path in the new folder, and its text.
pub(super) type File = (String, String);

type Template = (&'static str, &'static str);

const PYTHON: &[Template] = &[
    (
        "pyproject.toml",
        include_str!("templates/python/pyproject.toml.in"),
    ),
    ("puff.toml", include_str!("templates/python/puff.toml.in")),
    (
        "{{package}}/__init__.py",
        include_str!("templates/python/init.py.in"),
    ),
    ("{{package}}/app.py", include_str!("templates/python/app.py.in")),
    (
        "{{package}}/schema.py",
        include_str!("templates/python/schema.py.in"),
    ),
    (
        "tests/test_{{package}}.py",
        include_str!("templates/python/test.py.in"),
    ),
];

const DJANGO: &[Template] = &[
    (
        "pyproject.toml",
        include_str!("templates/django/pyproject.toml.in"),
    ),
    ("puff.toml", include_str!("templates/django/puff.toml.in")),
    ("manage.py", include_str!("templates/django/manage.py.in")),
    (
        "{{package}}/__init__.py",
        include_str!("templates/python/init.py.in"),
    ),
    (
        "{{package}}/settings.py",
        include_str!("templates/django/settings.py.in"),
    ),
    ("{{package}}/urls.py", include_str!("templates/django/urls.py.in")),
    (
        "{{package}}/views.py",
        include_str!("templates/django/views.py.in"),
    ),
    ("{{package}}/wsgi.py", include_str!("templates/django/wsgi.py.in")),
    (
        "{{package}}/tests.py",
        include_str!("templates/django/tests.py.in"),
    ),
];

const RUST: &[Template] = &[
    ("Cargo.toml", include_str!("templates/rust/Cargo.toml.in")),
    ("build.rs", include_str!("templates/rust/build.rs.in")),
    ("src/main.rs", include_str!("templates/rust/main.rs.in")),
    (
        "{{package}}/{{package}}/hello.py",
        include_str!("templates/rust/hello.py.in"),
    ),
    ("README.md", include_str!("templates/rust/README.md.in")),
];

const GITIGNORE: &str = include_str!("templates/common/gitignore.in");

/// All files of a project.
///
/// A Rust program has its Python project in a folder inside, called as the package: `cargo` finds the program
/// from there, and the program finds the modules in its working directory.
pub(super) fn files(name: &str, package: &str, kind: Kind) -> Vec<File> {
    let package = if kind.rust {
        format!("{package}_py")
    } else {
        package.to_owned()
    };
    let values = Values::new(name, &package, kind);
    let python = if kind.django { DJANGO } else { PYTHON };
    let inside = if kind.rust {
        format!("{package}/")
    } else {
        String::new()
    };
    let mut files: Vec<File> = python
        .iter()
        .map(|(path, text)| (inside.clone() + &values.fill(path), values.fill(text)))
        .collect();
    if kind.rust {
        files.extend(
            RUST.iter()
                .map(|(path, text)| (values.fill(path), values.fill(text))),
        );
    } else {
        let readme = if kind.django {
            include_str!("templates/django/README.md.in")
        } else {
            include_str!("templates/python/README.md.in")
        };
        files.push(("README.md".into(), values.fill(readme)));
    }
    files.push((".gitignore".into(), gitignore(kind)));
    files
}

/// `.gitignore` is at the top, while what Python leaves behind may lie a folder deeper.
fn gitignore(kind: Kind) -> String {
    if kind.rust {
        GITIGNORE
            .replace("/.puff/", ".puff/")
            .replace("/.venv/", ".venv/")
    } else {
        GITIGNORE.to_owned()
    }
}

/// What stands for the names in braces.
struct Values(Vec<(&'static str, String)>);

impl Values {
    fn new(name: &str, package: &str, kind: Kind) -> Values {
        let with_schema = kind.rust && !kind.django;
        let schema = |text: &str| {
            if with_schema {
                text.to_owned()
            } else {
                String::new()
            }
        };
        let django = |text: &str| {
            if kind.django {
                text.to_owned()
            } else {
                String::new()
            }
        };
        Values(vec![
            (
                "imports",
                schema(
                    "use puff_rs::graphql::handlers::{handle_graphql, handle_subscriptions, playground};\n",
                ),
            ),
            (
                "config",
                if kind.django {
                    "\n        .set_redis(true)"
                } else {
                    "\n        .set_gql_schema_class(\"{{package}}.schema.Schema\")"
                }
                .to_owned(),
            ),
            (
                "routes",
                schema(
                    "\n        .get(\"/playground\", playground(\"/graphql\", \"/subscriptions\"))\n        \
                     .post(\"/graphql\", handle_graphql())\n        .get(\"/subscriptions\", handle_subscriptions())",
                ),
            ),
            // rustfmt's way with chains: in one line while they fit.
            ("line", schema("\n        ")),
            ("migrate_poetry", django("\npoetry run cargo run django migrate")),
            ("migrate_pip", django("\ncargo run django migrate")),
            (
                "django_import",
                django("use puff_rs::program::commands::django_management::DjangoManagementCommand;\n"),
            ),
            (
                "django_command",
                django("\n        .command(DjangoManagementCommand::new())"),
            ),
            (
                "application",
                if kind.django {
                    "{{package}}.wsgi:application"
                } else {
                    "{{package}}.app:app"
                }
                .to_owned(),
            ),
            (
                "scripts",
                if kind.rust {
                    include_str!("templates/rust/scripts.toml.in")
                } else {
                    ""
                }
                .to_owned(),
            ),
            ("version", env!("CARGO_PKG_VERSION").to_owned()),
            ("pyo3", PYO3.to_owned()),
            // Last: what stands above may name them.
            ("package", package.to_owned()),
            ("name", name.to_owned()),
        ])
    }

    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (key, value)| {
            text.replace(&format!("{{{{{key}}}}}"), value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left_in_braces() {
        for (rust, django) in [(false, false), (false, true), (true, false), (true, true)] {
            for (path, text) in files("my-shop", "my_shop", Kind { rust, django }) {
                assert!(!path.contains("{{") && !text.contains("{{"), "{path}\n{text}");
                assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{path}");
            }
        }
    }

    #[test]
    fn the_version_of_pyo3_is_ours() {
        let manifest =
            std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml")).unwrap();
        assert!(manifest.contains(&format!("pyo3 = {{ version = \"{PYO3}.")));
    }
}
