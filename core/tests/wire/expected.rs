//! What the reference meant by each of its messages, by their place in `vectors/messages.json`.

use oslo_messaging::wire::Format;

/// Names and JSON texts of a context.
pub(crate) type Values = &'static [(&'static str, &'static str)];

pub(crate) const REPLY_Q: &str = "reply_baed57142f5441199f5ded2aa7b6661d";

pub(crate) const ALICE: Values = &[
    ("request_id", r#""req-1""#),
    ("user", r#""alice""#),
    ("is_admin", "true"),
    ("nested", r#"{"a":[1,2.5,null,"é"]}"#),
];

/// Place, method, args, namespace, version, `_msg_id`, `_reply_q`, `_timeout`, `_unique_id`, context; empty for none.
pub(crate) type Asked = (
    usize,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    Option<f64>,
    &'static str,
    Values,
);

#[rustfmt::skip]
pub(crate) const REQUESTS: &[Asked] = &[
    (0, "echo", r#"{"arg":{"k":[1,"ü",null,true,1.5]}}"#, "ns", "1.1", "9fac0f580634443c8c333a1bc0b95735", REPLY_Q, None, "7ec5b31552cd48cf90f0f735c9a7d419", ALICE),
    (2, "base", r#"{"a":1}"#, "", "1.0", "dceab20f5e6a43f1b9b80b45a5fac96d", REPLY_Q, None, "4dfdb055505d4a578ec4502d73cc4396", ALICE),
    (4, "nothing", "{}", "ns", "1.1", "ce9e3c00893b43c6ac0dcfa571931cf0", REPLY_Q, None, "df4139bab5704684a9a2421b0d53bb69", &[]),
    (6, "fail", r#"{"arg":"boom"}"#, "ns", "1.1", "e1c82f945135401cb887017999e0ccd5", REPLY_Q, None, "0965a1897d8347b48c4f3b85fef58497", &[]),
    (8, "expected", "{}", "ns", "1.1", "3318240c4b3b47d0a11a8bcba0ea2b4f", REPLY_Q, None, "8771041ea6b641e2b448e684fb4ed038", &[]),
    (10, "custom", "{}", "ns", "1.1", "cbb8cce356e449e9adc634e3a96e9563", REPLY_Q, None, "59d9bd28495947ce86bae3e5c4d2118d", &[]),
    (12, "missing", "{}", "ns", "1.1", "8b698655114642c993e73f79e94e94d1", REPLY_Q, None, "1b5b882bf2d64ae0b7e5036570911aa2", &[]),
    (14, "base", r#"{"a":1}"#, "", "9.0", "ab7b7532e0d44b6ab576fc2887481fdc", REPLY_Q, None, "037bbb38b8b84bcb80ece1f167653be4", &[]),
    (16, "base", r#"{"zzz":1}"#, "", "1.0", "01be33a955214737a984106e2cfe2cbc", REPLY_Q, None, "256e7e73cd874a12960a894916fc5cbb", &[]),
    (18, "slow", r#"{"secs":3}"#, "ns", "1.1", "cab26a46406d4c2e9e16defa173652af", REPLY_Q, Some(2.0), "ef1995f568b44186aad75402de3e7418", &[]),
    (22, "nan", "{}", "ns", "1.1", "d13e6e74cd61488cb755be1cbb434afc", REPLY_Q, None, "1decd1e1935c446eb361c6224fce9aa5", &[]),
    (24, "big", "{}", "ns", "1.1", "29d1e4aa9b604607a72b102fb7f03a13", REPLY_Q, None, "96fd6486af194877b8992d7df45e537f", &[]),
    (26, "types", "{}", "ns", "1.1", "298b522972d844e09ab36dc0dd4f9875", REPLY_Q, None, "bddb7487853c4c319ce42b8c34aca609", &[]),
    (28, "surrogate", "{}", "ns", "1.1", "d04165d9f97d404bb5e9cb4998230100", REPLY_Q, None, "71c0e42d96e34526aee66772f878df01", &[]),
    (30, "echo", r#"{"arg":1}"#, "ns", "1.1", "", "", None, "6a24b4ab011d4b8db9d1528631dbaa3b", ALICE),
    (31, "echo", r#"{"arg":1}"#, "ns", "1.1", "", "", None, "6ec3b4f89b9e4bd3bc8f6c5a8d81259a", ALICE),
    (32, "echo", r#"{"arg":2}"#, "ns", "1.1", "", "", None, "d24257cd04e24f78a90a618a19aaacd7", ALICE),
    (33, "x", "{}", "", "1.0", "134758ea0ded4fe6a6eb88014ea70c0c", REPLY_Q, None, "e90f1d93584d452fb8bb0350a53eaad3", &[]),
    (34, "x", "{}", "", "", "2cf9db2bd9f54bcbb4a5ada71a61704d", REPLY_Q, None, "e616a51733964cf5a08832f28e3aefb9", &[]),
    (35, "base", r#"{"a":"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}"#, "", "1.0", "1dbcd0cdea6b4d7dbd21729b3c7d4037", "reply_6c5950b30fa3498eaf5651d5b4439d94", None, "0f43f999fcde400280e7dc704e11a0de", &[]),
];

/// Place, result, `ending`, `_msg_id`, `_unique_id`.
pub(crate) type Answered = (usize, &'static str, bool, &'static str, &'static str);

#[rustfmt::skip]
pub(crate) const REPLIES: &[Answered] = &[
    (1, r#"{"k":[1,"ü",null,true,1.5]}"#, true, "9fac0f580634443c8c333a1bc0b95735", "6af4da88ca7d4c90af05f89ec88f06ee"),
    (3, r#"{"a":1,"b":2}"#, true, "dceab20f5e6a43f1b9b80b45a5fac96d", "1268bfb293cf4c40b970dd235a4ba858"),
    (5, "null", true, "ce9e3c00893b43c6ac0dcfa571931cf0", "cf0b0567308e481db844e5c162a53c89"),
    (7, "null", true, "e1c82f945135401cb887017999e0ccd5", "dbb596db31324ebfbd88ddf11cfa4cf1"),
    (9, "null", true, "3318240c4b3b47d0a11a8bcba0ea2b4f", "74f4bdf6c1004ca6833eab21a6b8ac16"),
    (11, "null", true, "cbb8cce356e449e9adc634e3a96e9563", "4e4981117ac04b0791337d301439c537"),
    (13, "null", true, "8b698655114642c993e73f79e94e94d1", "aa0f6790dea64f7aafd983c54e87bf58"),
    (15, "null", true, "ab7b7532e0d44b6ab576fc2887481fdc", "5f620534bf8444e780d9dbce206009c9"),
    (17, "null", true, "01be33a955214737a984106e2cfe2cbc", "28be48df06e94f208dab62861e486517"),
    (19, "null", false, "cab26a46406d4c2e9e16defa173652af", "cae25f6870934216b10bd0f0010b77dd"),
    (20, "null", false, "cab26a46406d4c2e9e16defa173652af", "fc724c4d447541f5b0ca54fe3dcd9a25"),
    (21, r#""done""#, true, "cab26a46406d4c2e9e16defa173652af", "6a43f41a0a994d2d8d2da37818f963d4"),
    (23, r#"{"n":null,"i":null,"m":null}"#, true, "d13e6e74cd61488cb755be1cbb434afc", "30b41cf0857a46f5a584f80958bfec6a"),
    (25, "1208925819614629174706176", true, "29d1e4aa9b604607a72b102fb7f03a13", "728fc362b0f94c989a098f3e125c7850"),
    (27, r#"{"when":"2026-01-02T03:04:05.000006","id":"00000000-0000-0000-0000-000000000005","t":[1,2],"s":[3],"b":"ab","5":"intkey"}"#, true, "298b522972d844e09ab36dc0dd4f9875", "90b57f5e66824d6c961f7c6c477fd8fa"),
    (29, r#""a\ud800b""#, true, "d04165d9f97d404bb5e9cb4998230100", "0a8d977d1de54adf8df90ed050988105"),
    (36, r#"{"a":"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz","b":2}"#, true, "1dbcd0cdea6b4d7dbd21729b3c7d4037", "090a0d893ded4884b4a1ff0e165252fd"),
];

/// Place, module, class, message, args, kwargs, lines of traceback. The other replies have no failure.
pub(crate) type Failed = (usize, &'static str, &'static str, &'static str, &'static str, &'static str, usize);

#[rustfmt::skip]
pub(crate) const FAILURES: &[Failed] = &[
    (7, "builtins", "ValueError", "boom", r#"["boom"]"#, "{}", 6),
    (9, "builtins", "KeyError", "'k'", r#"["k"]"#, "{}", 4),
    (11, "shop.errors", "Custom", "out of stock", r#"["out of stock"]"#, r#"{"code":7}"#, 6),
    (13, "oslo_messaging.rpc.dispatcher", "NoSuchMethod", "Endpoint does not support RPC method missing", r#"["Endpoint does not support RPC method missing"]"#, "{}", 4),
    (15, "oslo_messaging.rpc.dispatcher", "UnsupportedVersion", "Endpoint does not support RPC version 9.0. Attempted method: base", r#"["Endpoint does not support RPC version 9.0. Attempted method: base"]"#, "{}", 4),
    (17, "builtins", "TypeError", "B.base() got an unexpected keyword argument 'zzz'", r#"["B.base() got an unexpected keyword argument 'zzz'"]"#, "{}", 5),
];

/// Place, format, `message_id`, `event_type`, `priority`, `payload`, `timestamp`, `_unique_id`, values of the context.
pub(crate) type Noted =
    (usize, Format, &'static str, &'static str, &'static str, &'static str, &'static str, &'static str, usize);

#[rustfmt::skip]
pub(crate) const NOTIFICATIONS: &[Noted] = &[
    (37, Format::V1, "a3750baf-3d2b-465c-8f68-00287a7c1991", "order.create.start", "INFO", r#"{"id":7}"#, "2026-11-22 18:11:31.065226", "98acaae0b3b94e5aa795c7715688b9b9", 0),
    (38, Format::V1, "72ee218e-3101-45ae-958f-c7cc2fb5f435", "order.create.error", "ERROR", r#"{"reason":"bad"}"#, "2026-11-22 18:11:31.386339", "c7d63dd3c35041c6b77be744e5daddf4", 17),
    (39, Format::V2, "d76c2b65-de48-4685-a36c-30434d1feb99", "order.create.start", "INFO", r#"{"id":7}"#, "2026-11-22 18:11:31.699909", "cf4927b14a484db7baf8c24b058eaff7", 0),
    (40, Format::V2, "a4294102-eae5-47f7-b0bc-ab624149b119", "order.create.error", "ERROR", r#"{"reason":"bad"}"#, "2026-11-22 18:11:32.001721", "ecdc047139ec49c292fac3263455e427", 17),
    (41, Format::V2, "f6dcbd12-7747-4326-818a-edcb723f56b2", "p.audit", "AUDIT", r#"{"x":1}"#, "2026-11-22 18:11:32.303755", "ce3e243c29d84f5199525d6b9f19b644", 0),
    (42, Format::V2, "d5bd7e09-3ec7-4e34-946f-375831d3e8e8", "p.debug", "DEBUG", r#"{"x":1}"#, "2026-11-22 18:11:32.613761", "b759499ce2ec47789457a6edc38002d6", 0),
    (43, Format::V2, "85e2b72f-15de-40cd-b7da-c079633e3de3", "p.info", "INFO", r#"{"x":1}"#, "2026-11-22 18:11:32.943128", "2ddc67b75b0f4b898187596befcd93ee", 0),
    (44, Format::V2, "e9029cd9-3abc-4ada-b156-bc5560a975f2", "p.warn", "WARN", r#"{"x":1}"#, "2026-11-22 18:11:33.244819", "dce67c891afd415db14583265680e301", 0),
    (45, Format::V2, "095eadc2-739b-4411-82a0-30270e37410e", "p.error", "ERROR", r#"{"x":1}"#, "2026-11-22 18:11:33.607018", "bfc27370dc214632b6677f5444a9f9f0", 0),
    (46, Format::V2, "3811d900-3408-498c-af80-03649c367abf", "p.critical", "CRITICAL", r#"{"x":1}"#, "2026-11-22 18:11:33.910208", "43f0197d35944cb9840a0c3a7c9ce898", 0),
    (47, Format::V2, "32962ed1-159a-4ca6-9a4e-ea273a619329", "p.sample", "SAMPLE", r#"{"x":1}"#, "2026-11-22 18:11:34.251949", "3e38d29f46d5488b96142273ad212b59", 0),
];
