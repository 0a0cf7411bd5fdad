//! tungstenite, at either end and at both.

use std::io::{self, Read, Write};
use std::net;
use std::rc::Rc;
use std::sync::{self, Arc};

use async_io::block_on;
use blocking::unblock;
use futures_lite::future::{or, zip};
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};
use yieldfrom::io::{TcpListener, TcpStream};
use yieldfrom::{Cancelled, fiber};

use super::client::{chat, drain};
use super::room::{Room, failure};
use super::{Executor, executor};

const COUNT: usize = 10;

/// Accepts `count` clients; the task ends when they have all left.
fn open(
    executor: &Executor,
    room: &Rc<Room>,
    count: usize,
) -> (net::SocketAddr, async_executor::Task<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = executor.spawn(fiber({
        let (executor, room) = (executor.clone(), room.clone());
        move || -> Vec<_> {
            let serve = |stream: io::Result<TcpStream>| {
                let room = room.clone();
                executor.spawn(fiber(move || room.serve(stream?)))
            };
            listener.incoming().take(count).map(serve).collect()
        }
    }));
    let serving = executor.spawn(async {
        for serving in accepting.await {
            serving.await.unwrap();
        }
    });
    (address, serving)
}

#[test]
fn fibers_serve_many_blocking_clients_at_once() {
    let (executor, room) = (executor(), Rc::new(Room::default()));
    let (address, serving) = open(&executor, &room, COUNT);
    let barrier = Arc::new(sync::Barrier::new(COUNT));
    let clients: Vec<_> = (0..COUNT)
        .map(|n| {
            let barrier = barrier.clone();
            unblock(move || {
                let stream = net::TcpStream::connect(address).unwrap();
                chat(stream, || _ = barrier.wait(), &n.to_string(), COUNT)
            })
        })
        .collect();
    block_on(executor.run(async {
        let mut heard = Vec::new();
        for client in clients {
            heard.push(client.await.unwrap());
        }
        serving.await;
        assert!(heard.iter().all(|one| *one == heard[0]), "{heard:?}");
        heard[0].sort_by_key(|n| n.parse::<usize>().unwrap());
        let all: Vec<_> = (0..COUNT).map(|n| n.to_string()).collect();
        assert_eq!(heard[0], all);
    }));
    assert_eq!(room.count(), 0);
}

/// Sends one message back when all the others have got theirs, and lets the client close the connection.
fn echo(stream: impl Read + Write, wait: impl FnOnce()) -> Result<(), Error> {
    let mut socket = tungstenite::accept(stream).map_err(failure)?;
    let message = socket.read()?;
    wait();
    socket.send(message)?;
    drain(socket)
}

#[test]
fn fibers_talk_to_many_blocking_servers_at_once() {
    let executor = executor();
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let barrier = Arc::new(sync::Barrier::new(COUNT));
    let clients: Vec<_> = (0..COUNT)
        .map(|n| {
            let text = "x".repeat(n * 1000);
            executor.spawn(fiber(move || {
                let heard = chat(TcpStream::connect(address)?, || (), &text, 1)?;
                Ok::<_, Error>(heard == [text])
            }))
        })
        .collect();
    let accepting = unblock(move || {
        let streams = (0..COUNT).map(|_| listener.accept().unwrap().0);
        streams.collect::<Vec<_>>()
    });
    block_on(executor.run(async {
        let servers: Vec<_> = (accepting.await.into_iter())
            .map(|stream| {
                let barrier = barrier.clone();
                unblock(move || echo(stream, || _ = barrier.wait()))
            })
            .collect();
        for (client, server) in clients.into_iter().zip(servers) {
            assert!(client.await.unwrap());
            server.await.unwrap();
        }
    }));
}

/// A blocking client that does no more than the handshake.
fn join(address: net::SocketAddr) -> WebSocket<net::TcpStream> {
    let stream = net::TcpStream::connect(address).unwrap();
    tungstenite::client("ws://localhost/", stream).unwrap().0
}

#[test]
fn the_server_closes_a_connection_by_a_handshake_too() {
    let (executor, room) = (executor(), Rc::new(Room::default()));
    let (address, serving) = open(&executor, &room, 1);
    let (has_joined, wait_for_join) = async_channel::bounded(1);
    let client = unblock(move || {
        let mut socket = join(address);
        has_joined.try_send(()).unwrap();
        let Message::Close(Some(frame)) = socket.read().unwrap() else {
            panic!("the server has said something else");
        };
        drain(socket).unwrap();
        frame
    });
    block_on(executor.run(async {
        wait_for_join.recv().await.unwrap();
        room.close();
        assert_eq!(client.await.code, CloseCode::Away);
        serving.await;
    }));
}

#[test]
fn the_server_answers_a_ping_while_it_waits() {
    let (executor, room) = (executor(), Rc::new(Room::default()));
    let (address, serving) = open(&executor, &room, 1);
    let client = unblock(move || {
        let mut socket = join(address);
        socket.send(Message::Ping("are you there?".into())).unwrap();
        let answer = socket.read().unwrap();
        socket.close(None).unwrap();
        drain(socket).unwrap();
        answer
    });
    block_on(executor.run(async {
        assert_eq!(client.await, Message::Pong("are you there?".into()));
        serving.await;
    }));
}

#[test]
fn many_messages_in_one_packet_are_all_heard() {
    let (executor, room) = (executor(), Rc::new(Room::default()));
    let (address, serving) = open(&executor, &room, 1);
    let client = unblock(move || {
        let mut socket = join(address);
        for n in 0..100 {
            socket.write(Message::text(n.to_string())).unwrap();
        }
        socket.flush().unwrap();
        for n in 0..100 {
            assert_eq!(socket.read().unwrap(), Message::text(n.to_string()));
        }
        socket.close(None).unwrap();
        drain(socket)
    });
    block_on(executor.run(async {
        client.await.unwrap();
        serving.await;
    }));
}

#[test]
fn a_client_that_is_cancelled_while_it_waits_leaves_the_room() {
    let (executor, room) = (executor(), Rc::new(Room::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = executor.spawn(fiber({
        let room = room.clone();
        move || room.serve(listener.accept()?.0)
    }));
    let (has_joined, wait_for_join) = async_channel::bounded(1);
    let mut client = fiber(move || {
        let joined = || has_joined.try_send(()).unwrap();
        // It waits for itself and then for somebody else, who never comes.
        chat(TcpStream::connect(address)?, joined, "is anybody there?", 2)
    });
    let (cancelled, served) = block_on(executor.run(async {
        let is_waiting = async { wait_for_join.recv().await.is_ok() };
        let is_over = async {
            let _ = (&mut client).await;
            false
        };
        assert!(or(is_waiting, is_over).await);
        assert_eq!(room.count(), 1);
        (client.cancel(), serving.await)
    }));
    assert!(Cancelled::is_behind(&cancelled.unwrap().unwrap_err()));
    // It had no chance to say good-bye.
    assert!(matches!(
        served,
        Err(Error::Protocol(_)) | Err(Error::Io(_))
    ));
    assert_eq!(room.count(), 0);
}

#[test]
fn a_server_that_is_dropped_while_it_waits_cleans_up() {
    let (executor, room) = (executor(), Rc::new(Room::default()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (has_joined, wait_for_join) = async_channel::bounded(1);
    let client = unblock(move || {
        let mut socket = join(address);
        has_joined.try_send(()).unwrap();
        socket.read().unwrap_err()
    });
    let mut serving = fiber({
        let room = room.clone();
        move || room.serve(listener.accept()?.0)
    });
    let error = block_on(executor.run(async {
        let is_waiting = async { wait_for_join.recv().await.is_ok() };
        let is_over = async {
            let _ = (&mut serving).await;
            false
        };
        assert!(or(is_waiting, is_over).await);
        assert_eq!(room.count(), 1);
        drop(serving);
        assert_eq!(room.count(), 0);
        client.await
    }));
    assert!(matches!(error, Error::Protocol(_)), "{error}");
}

#[test]
fn a_large_message_goes_through_two_fibers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let text = "0123456789".repeat(400_000);
    let server = fiber(move || echo(listener.accept()?.0, || ()));
    let client = fiber(move || {
        let heard = chat(TcpStream::connect(address)?, || (), &text, 1)?;
        Ok::<_, Error>(heard == [text])
    });
    let (served, is_same) = block_on(zip(server, client));
    served.unwrap();
    assert!(is_same.unwrap());
}
