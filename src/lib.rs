//! The workspace root owns only tests and benches; every piece of the product is a folder beside this one.
