//! Puff: build your own runtime for Python. Program, commands, services, web.
