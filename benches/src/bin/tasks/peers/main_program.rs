//! What the main program measures too.

#[allow(dead_code)] // what only the main program needs
#[path = "../../../peers/smol.rs"]
pub mod smol;
#[path = "../../../peers/tasks.rs"]
pub mod tasks;
#[allow(dead_code)] // what only the main program needs
#[path = "../../../peers/tokio.rs"]
pub mod tokio;
