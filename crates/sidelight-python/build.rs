//! On macOS a module of Python is linked before there is a Python.

fn main() {
    pyo3_build_config::add_extension_module_link_args();
}
