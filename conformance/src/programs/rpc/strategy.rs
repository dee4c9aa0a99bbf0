//! Generates programs of RPC. Steps that are not possible are removed, so that
//! every program, also a shrunk one, can be played.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::model::{binds, reads};
use super::program::{Act, Program, Server, Step};
use super::request::{Kind, Method, Request};
use crate::programs::Perils;
use crate::programs::acts::{self, Turns};

/// Few names of each kind, so that servers share queues and requests reach them.
/// Exchanges and topics get unique names when the program is played. Server names stay: the topic scopes them.
const EXCHANGES: [&str; 2] = ["x", "y"];
const TOPICS: [&str; 3] = ["t", "u", "v"];
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Three in five interfaces have no namespace.
const NAMESPACES: [&str; 2] = ["m", "n"];
/// Two minors of one major and another major, so that requests are both compatible and not.
const VERSIONS: [&str; 4] = ["1.0", "1.3", "1.5", "2.0"];

/// Programs of at most four servers and six acts, in which those of `perils` happen.
/// A server is up from the start with a probability of 0.75. With `cuts`, one step in 25 is a cut.
pub(crate) fn programs(perils: Perils) -> impl Strategy<Value = Program> {
    let servers = vec((server(), prop::bool::weighted(0.75)), 1..=4);
    servers.prop_flat_map(move |servers| {
        let step = step(servers.iter().map(|(server, _)| server.clone()).collect(), perils.hurry);
        let steps =
            vec(if perils.cuts { prop_oneof![24 => step, 1 => acts::cut()].boxed() } else { step.boxed() }, 1..=7);
        let acts = vec((steps, any::<bool>()), 1..=5);
        (Just(servers), acts).prop_map(|(servers, acts)| playable(servers, acts))
    })
}

/// A server with one or two interfaces; one in five acknowledges afterwards.
/// Three in five run 64 methods at once. The others run one or two, so requests wait for their turn.
fn server() -> impl Strategy<Value = Server> {
    let place = (option::weighted(0.6, 0..EXCHANGES.len()), 0..TOPICS.len(), 0..NAMES.len());
    let interface = (option::weighted(0.4, 0..NAMESPACES.len()), 0..VERSIONS.len());
    let manner = (prop_oneof![3 => Just(64_usize), 1 => Just(1), 1 => Just(2)], prop::bool::weighted(0.2));
    (place, vec(interface, 1..=2), manner).prop_map(
        |((exchange, topic, name), interfaces, (methods, at_least_once))| {
            let mut server = Server { concurrency: methods, ..Server::new(TOPICS[topic], NAMES[name]) };
            server.exchange = exchange.map(|exchange| EXCHANGES[exchange].to_owned());
            server.at_least_once = at_least_once;
            interfaces.into_iter().fold(server, |server, (namespace, version)| match namespace {
                None => server.interface(VERSIONS[version]),
                Some(namespace) => server.interface_in(NAMESPACES[namespace], VERSIONS[version]),
            })
        },
    )
}

/// Mostly requests; starts, stops and kills of any server, possible or not.
fn step(servers: Vec<Server>, hurry: bool) -> impl Strategy<Value = Step> {
    let count = servers.len();
    let times = prop_oneof![8 => Just(1_usize), 1 => 2..12_usize];
    prop_oneof![
        16 => (0..3_usize, request(servers), times)
            .prop_map(|(sender, request, times)| Step::Send { sender, message: request.times(times) }),
        2 => (0..count).prop_map(|server| Step::Start { actor: server }),
        2 => (0..count).prop_map(|server| Step::Stop { actor: server }),
        2 * u32::from(hurry) => (0..count).prop_map(|server| Step::Hurry { actor: server }),
        1 => (0..count).prop_map(|server| Step::Kill { actor: server }),
    ]
}

/// Requests that mostly match one of `servers`, some with one attribute changed.
fn request(servers: Vec<Server>) -> impl Strategy<Value = Request> {
    let kind = prop_oneof![4 => Just(Kind::Call), 4 => Just(Kind::Cast), 2 => Just(Kind::Fanout)];
    let method = prop_oneof![
        5 => Just(Method::Answer), 2 => Just(Method::Slow), 1 => Just(Method::Fail), 1 => Just(Method::Missing)
    ];
    let odd = || prop::bool::weighted(0.08);
    let meant = (0..servers.len(), any::<prop::sample::Index>(), prop::bool::weighted(0.35));
    let oddities =
        (option::weighted(0.1, 0..=EXCHANGES.len()), option::weighted(0.06, 0..NAMES.len()), odd(), odd(), odd());
    let wrong = (option::weighted(0.08, 0..=NAMESPACES.len()), option::weighted(0.3, 0..=VERSIONS.len()));
    (kind, method, meant, oddities, wrong).prop_map(
        move |(
            kind,
            method,
            (server, interface, directed),
            (exchange, name, turned, impatient, given_up),
            (namespace, version),
        )| {
            let server = &servers[server];
            let interface = &server.interfaces[interface.index(server.interfaces.len())];
            let request = match kind {
                Kind::Call => Request::call(&server.topic),
                Kind::Cast => Request::cast(&server.topic),
                Kind::Fanout => Request::fanout(&server.topic),
            };
            let mut request = Request { method, ..request };
            request.exchange = match exchange {
                Some(exchange) => EXCHANGES.get(exchange).map(|exchange| (*exchange).to_owned()),
                None => server.exchange.clone(),
            };
            request.server = match name {
                Some(name) => Some(NAMES[name].to_owned()),
                None => directed.then(|| server.name.clone()),
            };
            request.namespace = match namespace {
                Some(namespace) => NAMESPACES.get(namespace).map(|namespace| (*namespace).to_owned()),
                None => interface.namespace.clone(),
            };
            request.version = match version {
                Some(version) => VERSIONS.get(version).map(|version| (*version).to_owned()),
                None => Some(interface.version.clone()),
            };
            request.mandatory = (kind == Kind::Call) != (turned && kind != Kind::Fanout);
            request.impatient = impatient && kind == Kind::Call;
            request.given_up = given_up;
            request
        },
    )
}

/// Builds a program in which servers start and end in turn, at most once in an act. A call that perhaps no server
/// answers is impatient, so that it does not cost a whole budget.
fn playable(servers: Vec<(Server, bool)>, acts: Vec<(Vec<Step>, bool)>) -> Program {
    let (servers, first): (Vec<_>, Vec<_>) = servers.into_iter().unzip();
    let mut turns = Turns::new((0..servers.len()).filter(|server| first[*server]).collect());
    let opening: Vec<Step> = turns.up.iter().map(|server| Step::Start { actor: *server }).collect();
    let mut program = Program { servers, ..Program::default() };
    let mut ever = turns.up.clone();
    if !opening.is_empty() {
        program.acts.push(Act { steps: opening, settle: false });
    }
    for (steps, settle) in acts {
        let before = turns.up.clone();
        turns.next_act();
        let steps = steps.into_iter().filter(|step| turns.take(step)).collect();
        let (mut act, up) = (Act { steps, settle }, &turns.up);
        let lasting: Vec<&Server> = before.intersection(up).map(|server| &program.servers[*server]).collect();
        ever.extend(up);
        let bound = |request: &Request| ever.iter().any(|server| binds(&program.servers[*server], request));
        let killed: Vec<&Server> = act
            .steps
            .iter()
            .filter_map(|step| match step {
                Step::Hurry { actor: server } | Step::Kill { actor: server } => Some(&program.servers[*server]),
                _ => None,
            })
            .collect();
        for step in &mut act.steps {
            if let Step::Send { message: request, .. } = step {
                let returned = request.mandatory && !bound(request);
                let taken = killed.iter().any(|server| reads(server, request));
                let answered = !taken && lasting.iter().any(|server| binds(server, request));
                request.impatient |= request.kind == Kind::Call && !answered && !returned;
            }
        }
        program.acts.push(act);
    }
    program
}
