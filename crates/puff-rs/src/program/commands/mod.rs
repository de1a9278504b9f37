//! Commands to register with a [`Program`](super::Program).

pub mod django_management;
pub mod pytest;
pub mod python;
pub mod rust;
mod schemas;
pub mod server;
mod watch;
mod websockets;
pub mod wsgi;

pub use django_management::DjangoManagementCommand;
pub use pytest::PytestCommand;
pub use python::PythonCommand;
pub use rust::RustCommand;
pub use server::ServerCommand;
pub use wsgi::WSGIServerCommand;
