//! The server, over its sockets: SPARQL's protocol, pages, reconciliation, bad requests, hostile clients, and real clients.

#[expect(dead_code, reason = "the readers of exports are not asked here")]
#[path = "../support/python.rs"]
mod python;
#[expect(dead_code, reason = "exports are made elsewhere")]
#[path = "../readers/support.rs"]
mod store;

mod clients;
mod drawing;
mod hostile;
mod pages;
mod protocol;
mod reconcile;
mod review;
mod server;
