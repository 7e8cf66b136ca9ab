//! Apps that come, change and go while the relay runs.

mod cluster;
mod come_and_go;
mod database;
mod files;
mod ingest;
mod limits;
mod many;
mod secrets;
mod support;
mod under_load;
mod webhooks;
