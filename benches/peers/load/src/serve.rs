//! The life of a program that only serves.

use std::io::{self, Write as _};

/// Says on standard output that the server is ready, and waits for the end of standard input.
pub async fn until_input_ends() {
    println!("READY");
    io::stdout().flush().expect("standard output is open");
    let input = tokio::task::spawn_blocking(|| io::copy(&mut io::stdin(), &mut io::sink()));
    input.await.expect("reading does not panic").expect("standard input is readable");
}
