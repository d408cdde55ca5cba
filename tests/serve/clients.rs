//! Clients that others wrote.

use std::path::Path;
use std::process::Command;

use crate::python::{environment, said};
use crate::server::Server;

#[test]
fn sparql_clients_of_others_read_the_graph() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/serve");
    let Some(python) = environment("clients", &here.join("requirements.txt")) else { return };
    let server = Server::start(&[]);
    let address = format!("http://{}", server.address);
    let output = Command::new(python).arg("-I").arg(here.join("clients.py")).arg(address).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", said(&output));
}
