//! Libraries of the web that know nothing of fibers, many at once on one thread, against peers that block threads of their own.
//!
//! The examples among them are run too: plain `cargo test` builds them first, `--test library_web` alone does not.

use std::process::{Command, Stdio};
use std::rc::Rc;

use async_executor::LocalExecutor;

#[path = "../examples/tungstenite_chat/client.rs"]
mod client;
#[path = "../examples/adapters/http_server.rs"]
mod http_server;
#[path = "../examples/tungstenite_chat/room.rs"]
mod room;
#[path = "../examples/adapters/tls.rs"]
mod tls;
#[path = "../examples/adapters/ureq.rs"]
mod ureq_on_fibers;

#[path = "library_web/http_server.rs"]
mod http_server_tests;
#[path = "library_web/rustls.rs"]
mod rustls_tests;
#[path = "library_web/tungstenite.rs"]
mod tungstenite_tests;
#[path = "library_web/ureq.rs"]
mod ureq_tests;

type Executor = Rc<LocalExecutor<'static>>;

fn executor() -> Executor {
    Executor::default()
}

/// Standard output, standard error and exit code of an example.
fn run_example(name: &str, arguments: &[&str]) -> (String, String, Option<i32>) {
    let test = std::env::current_exe().expect("a test has a path");
    let target = test
        .ancestors()
        .nth(2)
        .expect("it is in target/PROFILE/deps");
    let program = target.join("examples").join(name);
    let mut command = Command::new(program.with_extension(std::env::consts::EXE_EXTENSION));
    for scheme in ["all_proxy", "http_proxy", "https_proxy"] {
        command.env_remove(scheme).env_remove(scheme.to_uppercase());
    }
    let output = command
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{name}: {error}; `cargo build --examples` builds it"));
    let text = |bytes| String::from_utf8(bytes).expect("it prints UTF-8");
    (
        text(output.stdout),
        text(output.stderr),
        output.status.code(),
    )
}
