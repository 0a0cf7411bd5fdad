//! ureq, by examples/adapters/ureq.rs.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use async_io::block_on;
use blocking::unblock;
use futures_lite::future::or;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Error, Timeout};
use yieldfrom::{Cancelled, await_, fiber};

use super::ureq_on_fibers::agent;
use super::{executor, run_example, tls::Ends};

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// Reads a request without a body.
fn read_head(stream: &mut impl BufRead) -> bool {
    let mut line = String::new();
    while line != "\r\n" {
        line.clear();
        if stream.read_line(&mut line).unwrap() == 0 {
            return false;
        }
    }
    true
}

/// A listener on its own, and its URL.
fn listen(host: &str) -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, format!("http://{host}:{port}/"))
}

fn unproxied() -> Agent {
    agent(Agent::config_builder().proxy(None).build())
}

fn get(agent: &Agent, url: &str) -> Result<String, Error> {
    agent.get(url).call()?.body_mut().read_to_string()
}

/// It cannot end unless all the requests are in flight at once.
#[test]
fn a_hundred_requests_wait_at_once_on_one_thread() {
    const COUNT: usize = 100;
    let (listener, url) = listen("127.0.0.1");
    let server = thread::spawn(move || {
        let barrier = Arc::new(Barrier::new(COUNT));
        let serving: Vec<_> = (0..COUNT)
            .map(|_| {
                let (stream, barrier) = (listener.accept().unwrap().0, barrier.clone());
                thread::spawn(move || {
                    assert!(read_head(&mut BufReader::new(&stream)));
                    barrier.wait();
                    (&stream).write_all(ANSWER).unwrap();
                })
            })
            .collect();
        serving.into_iter().for_each(|one| one.join().unwrap());
    });
    let (executor, agent) = (executor(), unproxied());
    let threads = Rc::new(RefCell::new(HashSet::new()));
    let clients: Vec<_> = (0..COUNT)
        .map(|_| {
            let (agent, url, threads) = (agent.clone(), url.clone(), threads.clone());
            executor.spawn(fiber(move || {
                threads.borrow_mut().insert(thread::current().id());
                let answer = get(&agent, &url);
                threads.borrow_mut().insert(thread::current().id());
                answer
            }))
        })
        .collect();
    block_on(executor.run(async {
        for client in clients {
            assert_eq!(client.await.unwrap(), "ok");
        }
    }));
    server.join().unwrap();
    assert_eq!(*threads.borrow(), HashSet::from([thread::current().id()]));
}

#[test]
fn an_agent_uses_a_connection_again_and_notices_that_it_is_closed() {
    let (listener, url) = listen("127.0.0.1");
    let (has_closed, wait_for_close) = async_channel::bounded(2);
    let served = unblock(move || {
        let mut served = Vec::new();
        for _ in 0..2 {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            for _ in 0..2 {
                assert!(read_head(&mut stream));
                stream.get_mut().write_all(ANSWER).unwrap();
                served.push(stream.get_ref().peer_addr().unwrap());
            }
            drop(stream);
            has_closed.try_send(()).unwrap();
        }
        served
    });
    let body = move || {
        let agent = unproxied();
        for _ in 0..2 {
            assert_eq!(get(&agent, &url).unwrap(), "ok");
            assert_eq!(get(&agent, &url).unwrap(), "ok");
            await_(wait_for_close.recv()).unwrap().unwrap();
        }
    };
    let served: Vec<SocketAddr> = block_on(async {
        fiber(body).await;
        served.await
    });
    assert!(served[0] == served[1] && served[2] == served[3] && served[1] != served[2]);
}

/// A peer that takes a request, tells so, and says nothing until the client has left.
struct Silent {
    url: String,
    has_request: async_channel::Receiver<()>,
    serving: blocking::Task<()>,
}

impl Silent {
    fn start() -> Self {
        let (listener, url) = listen("127.0.0.1");
        let (sender, has_request) = async_channel::bounded(1);
        let serving = unblock(move || {
            let mut stream = BufReader::new(listener.accept().unwrap().0);
            assert!(read_head(&mut stream));
            sender.try_send(()).unwrap();
            assert_eq!(stream.read(&mut [0]).unwrap(), 0);
        });
        Self {
            url,
            has_request,
            serving,
        }
    }
}

#[test]
fn a_request_that_nobody_answers_times_out() {
    let server = Silent::start();
    let config = Agent::config_builder().proxy(None);
    let config = config.timeout_recv_response(Some(Duration::from_millis(1)));
    let agent = agent(config.build());
    let error = block_on(async {
        let error = fiber(move || get(&agent, &server.url)).await;
        server.serving.await;
        error.unwrap_err()
    });
    assert!(
        matches!(error, Error::Timeout(Timeout::RecvResponse)),
        "{error}"
    );
}

#[test]
fn a_request_whose_time_is_over_before_it_begins_times_out() {
    let config = Agent::config_builder().proxy(None);
    let agent = agent(config.timeout_global(Some(Duration::ZERO)).build());
    let error = block_on(fiber(move || get(&agent, "http://no.such.host.invalid/"))).unwrap_err();
    assert!(matches!(error, Error::Timeout(Timeout::Global)), "{error}");
}

#[test]
fn a_name_is_looked_up() {
    // It may have an address at which nobody listens, too.
    let (listener, url) = listen("localhost");
    let server = unblock(move || {
        let stream = listener.accept().unwrap().0;
        assert!(read_head(&mut BufReader::new(&stream)));
        (&stream).write_all(ANSWER).unwrap();
    });
    let answer = block_on(async {
        let answer = fiber(move || get(&unproxied(), &url)).await;
        server.await;
        answer
    });
    assert_eq!(answer.unwrap(), "ok");
}

#[test]
fn an_address_at_which_nobody_listens_refuses() {
    let (listener, url) = listen("127.0.0.1");
    drop(listener);
    match block_on(fiber(move || get(&unproxied(), &url))) {
        Err(Error::Io(error)) => assert_eq!(error.kind(), ErrorKind::ConnectionRefused),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_cancelled_request_says_so_and_closes_its_connection() {
    let server = Silent::start();
    let url = server.url;
    let mut waiting = fiber(move || get(&unproxied(), &url));
    let cancelled = block_on(async {
        let is_waiting = async { server.has_request.recv().await.is_ok() };
        let is_over = async {
            let _ = (&mut waiting).await;
            false
        };
        assert!(or(is_waiting, is_over).await);
        let cancelled = waiting.cancel();
        server.serving.await;
        cancelled
    });
    let error = cancelled.unwrap().unwrap_err();
    assert!(Cancelled::is_behind(&error.into_io()));
}

#[test]
fn a_shut_down_agent_interrupts_its_requests() {
    let server = Silent::start();
    let (executor, agent) = (executor(), unproxied());
    let waiting = executor.spawn(fiber({
        let agent = agent.clone();
        move || get(&agent, &server.url)
    }));
    let error = block_on(executor.run(async {
        server.has_request.recv().await.unwrap();
        agent.shutdown();
        server.serving.await;
        waiting.await.unwrap_err()
    }));
    assert!(matches!(error, Error::Io(_)), "{error}");
}

#[test]
fn a_request_goes_through_a_proxy() {
    let (listener, url) = listen("127.0.0.1");
    let proxy = unblock(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut line = String::new();
        stream.read_line(&mut line).unwrap();
        assert!(read_head(&mut stream));
        let established = b"HTTP/1.1 200 OK\r\n\r\n";
        stream.get_mut().write_all(established).unwrap();
        assert!(read_head(&mut stream)); // of what is in the tunnel
        stream.get_mut().write_all(ANSWER).unwrap();
        line
    });
    let config = Agent::config_builder().proxy(Some(ureq::Proxy::new(&url).unwrap()));
    let agent = agent(config.build());
    let (answer, line) = block_on(async {
        let answer = fiber(move || get(&agent, "http://127.0.0.1:1/")).await;
        (answer, proxy.await)
    });
    assert_eq!(answer.unwrap(), "ok");
    assert_eq!(line, "CONNECT 127.0.0.1:1 HTTP/1.1\r\n");
}

/// ureq's own TLS, over the sockets of fibers.
#[test]
fn https_requests_wait_at_once_on_one_thread() {
    const COUNT: usize = 5;
    let ends = Ends::new().unwrap();
    let (listener, url) = listen("localhost");
    let url = url.replace("http:", "https:");
    let server = thread::spawn({
        let ends = ends.clone();
        move || {
            let barrier = Arc::new(Barrier::new(COUNT));
            let serving: Vec<_> = (0..COUNT)
                .map(|_| {
                    let stream = ends.accept(listener.accept().unwrap().0).unwrap();
                    let barrier = barrier.clone();
                    thread::spawn(move || {
                        let mut stream = BufReader::new(stream);
                        assert!(read_head(&mut stream));
                        barrier.wait();
                        stream.get_mut().write_all(ANSWER).unwrap();
                    })
                })
                .collect();
            serving.into_iter().for_each(|one| one.join().unwrap());
        }
    });
    let root = Certificate::from_der(&ends.certificate).to_owned();
    let tls = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&[root]));
    let config = Agent::config_builder().proxy(None).tls_config(tls.build());
    let (executor, agent) = (executor(), agent(config.build()));
    let clients: Vec<_> = (0..COUNT)
        .map(|_| {
            let (agent, url) = (agent.clone(), url.clone());
            executor.spawn(fiber(move || get(&agent, &url)))
        })
        .collect();
    block_on(executor.run(async {
        for client in clients {
            assert_eq!(client.await.unwrap(), "ok");
        }
    }));
    server.join().unwrap();
}

#[test]
fn the_example_says_that_one_thread_ran_the_requests() {
    let (out, errors, code) = run_example("ureq_many", &["--count", "3", "--delay", "0"]);
    let lines: Vec<_> = out.lines().collect();
    for (n, line) in lines[..3].iter().enumerate() {
        assert!(
            line.starts_with("200      10 bytes  http://127.0.0.1:"),
            "{line}"
        );
        assert!(line.ends_with(&format!("/{n}")), "{line}");
    }
    assert!(lines[3].starts_with("one after the other: "));
    assert!(lines[4].starts_with("all at once: "));
    assert!(lines[5].starts_with("ratio: "));
    assert_eq!(lines[6..], ["threads that ran the requests: 1"]);
    assert_eq!((&*errors, code), ("", Some(0)));
}

#[test]
fn the_example_names_the_url_that_fails() {
    let (listener, url) = listen("127.0.0.1");
    drop(listener);
    let (_, errors, code) = run_example("ureq_many", &["not a url", &url]);
    let errors: Vec<_> = errors.lines().collect();
    assert!(
        errors[0].starts_with("ureq_many: not a url: "),
        "{errors:?}"
    );
    assert!(
        errors[1].starts_with(&format!("ureq_many: {url}: ")),
        "{errors:?}"
    );
    assert_eq!((errors.len(), code), (2, Some(1)));
}

#[test]
fn the_example_has_help_and_refuses_what_it_does_not_know() {
    let (out, errors, code) = run_example("ureq_many", &["--help"]);
    assert!(out.starts_with("ureq_many: ") && errors.is_empty() && code == Some(0));
    let (out, errors, code) = run_example("ureq_many", &["--no-such-flag"]);
    let message = "ureq_many: unknown argument \"--no-such-flag\"; try --help\n";
    assert_eq!((&*out, &*errors, code), ("", message, Some(2)));
}
