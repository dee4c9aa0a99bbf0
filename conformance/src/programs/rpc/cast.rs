//! Casting: which implementation plays each server and each sender.

use super::Program;
use crate::programs::Actors;

/// The first bit for senders, so that one more server does not change them.
const SENDERS: u32 = 32;

impl Program {
    /// The program with its servers and senders assigned to implementations, as `actors` and `seed` determine.
    /// A mixed program with two actors or more has at least one of each kind.
    /// The same seed gives the same cast again.
    pub(crate) fn cast_by(mut self, actors: Actors, seed: u64) -> Self {
        let (servers, senders) = (self.servers.len(), self.senders());
        let mut foreign = actors.choose(seed, 0, servers);
        foreign.extend(actors.choose(seed, SENDERS, senders));
        if actors == Actors::Mixed && foreign.len() > 1 && foreign.iter().all(|one| *one == foreign[0]) {
            foreign[0] = !foreign[0];
        }
        for (server, foreign) in self.servers.iter_mut().zip(&foreign) {
            server.foreign = *foreign;
        }
        self.foreign_senders = (0..senders).filter(|sender| foreign[servers + sender]).collect();
        self
    }

    /// The program without foreign actors.
    /// The strict check judges a history by it.
    pub(crate) fn ours(&self) -> Self {
        self.clone().cast_by(Actors::Rust, 0)
    }

    /// The programs with one foreign actor less. Shrinking with them shows which actors a failure needs.
    pub(crate) fn less_foreign(&self) -> Vec<Self> {
        let servers = (0..self.servers.len()).filter(|server| self.servers[*server].foreign).map(|server| {
            let mut program = self.clone();
            program.servers[server].foreign = false;
            program
        });
        let senders = self.foreign_senders.iter().map(|sender| {
            let mut program = self.clone();
            program.foreign_senders.remove(sender);
            program
        });
        servers.chain(senders).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::programs::rpc::{Act, Request, Server};

    fn program() -> Program {
        let act = Act::new().start(0).send(0, Request::cast("t")).send(1, Request::cast("t"));
        Program::new().server(Server::new("t", "a").interface("1.0")).act(act)
    }

    fn foreign(program: &Program) -> usize {
        program.servers.iter().filter(|server| server.foreign).count() + program.foreign_senders.len()
    }

    #[test]
    fn a_mixed_program_has_actors_of_both_kinds() {
        for seed in 0..200 {
            let cast = program().cast_by(Actors::Mixed, seed);
            assert!((1..3).contains(&foreign(&cast)), "{cast}");
            assert_eq!(cast, program().cast_by(Actors::Mixed, seed));
        }
    }

    #[test]
    fn one_kind_of_actors_is_cast_throughout() {
        assert_eq!(foreign(&program().cast_by(Actors::Rust, 7)), 0);
        assert_eq!(foreign(&program().cast_by(Actors::Python, 7)), 3);
    }

    #[test]
    fn a_program_shrinks_to_one_with_a_foreign_actor_less() {
        let less = program().cast_by(Actors::Python, 7).less_foreign();
        assert_eq!(less.len(), 3);
        assert!(less.iter().all(|program| foreign(program) == 2));
    }
}
