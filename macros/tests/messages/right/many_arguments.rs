#![deny(warnings, clippy::all, clippy::pedantic)]

#[oslo_messaging::service]
trait Compute {
    async fn build(
        &self,
        context: oslo_messaging::Context,
        one: u8,
        two: u16,
        three: u32,
        four: u64,
        five: i8,
        six: i16,
        seven: i32,
        eight: i64,
        r#type: String,
    ) -> Result<String, std::convert::Infallible>;
}

fn main() {}
