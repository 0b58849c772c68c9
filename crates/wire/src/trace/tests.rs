use proptest::prelude::*;

use super::state::{MAX_BYTES, MAX_MEMBERS};
use super::*;

const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn state(text: &str) -> Option<String> {
    let context = TraceContext::parse(PARENT, Some(text)).expect("the parent is sound");
    context.tracestate().map(str::to_owned)
}

#[test]
fn a_sound_traceparent_is_read_and_written_as_it_was() {
    let context = TraceContext::parse(PARENT, None).expect("sound");
    assert_eq!(context.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
    assert_eq!(context.span_id().to_string(), "b7ad6b7169203331");
    assert!(context.is_sampled());
    assert_eq!(context.traceparent(), PARENT);
    let blanks = format!(" \t{PARENT} ");
    assert_eq!(TraceContext::parse(&blanks, None), Some(context));
}

#[test]
fn an_unsampled_trace_stays_unsampled_and_unknown_flags_are_dropped() {
    let with = |flags: &str| {
        let text = format!("{}{flags}", &PARENT[..53]);
        TraceContext::parse(&text, None).expect("sound")
    };
    let child = with("00").child(SpanId::new(7));
    assert!(!child.is_sampled());
    assert!(child.traceparent().ends_with("-0000000000000007-00"));
    assert_eq!(
        [with("02"), with("03"), with("ff"), with("fc")].map(|one| one.flags()),
        [2, 3, 3, 0]
    );
}

#[test]
fn what_breaks_the_rule_is_no_context() {
    let bad = [
        "",
        "00",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333x-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0X",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "0g-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01x",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b71692033\u{e9}1-01",
    ];
    for text in bad {
        assert_eq!(TraceContext::parse(text, Some("a=1")), None, "{text}");
    }
}

#[test]
fn a_later_version_is_read_as_far_as_ours_goes_and_goes_on_as_ours() {
    let end = &PARENT[2..];
    for later in [format!("cc{end}"), format!("01{end}-what-ever"), format!("fe{end}-")] {
        let context = TraceContext::parse(&later, None).expect("sound");
        assert_eq!(context.traceparent(), PARENT, "{later}");
    }
}

#[test]
fn a_state_is_carried_as_it_came_and_a_broken_one_costs_itself_alone() {
    for kept in ["a=1", "a=1, b=2\t,c=3", "a=1,,b=2", "t@v=x y", "0k=!", "a=1,a=2"] {
        assert_eq!(state(kept).as_deref(), Some(kept));
    }
    for broken in [
        "", " ,", "a", "a=", "=1", "A=1", "a=1,b", "a=1=2", "a=\u{e4}", "a b=1", "-a=1",
    ] {
        assert_eq!(state(broken), None, "{broken}");
    }
    assert_eq!(
        state(&format!("{}=1", "k".repeat(256))).map(|text| text.len()),
        Some(258)
    );
    assert_eq!(state(&format!("{}=1", "k".repeat(257))), None);
    let many = |count| {
        (0..count)
            .map(|index| format!("k{index}=v"))
            .collect::<Vec<_>>()
            .join(",")
    };
    assert_eq!(state(&many(MAX_MEMBERS)), Some(many(MAX_MEMBERS)));
    assert_eq!(state(&many(MAX_MEMBERS + 1)), None);
}

#[test]
fn a_state_that_is_too_long_loses_large_members_first_and_then_its_end() {
    let (large, small) = (format!("large={}", "x".repeat(200)), format!("s={}", "y".repeat(100)));
    let text = [&*small, &large, &small, &large].join(",");
    assert_eq!(state(&text), Some([&*small, &large, &small].join(",")));
    let text = [&*small; 6].join(",");
    assert_eq!(state(&text), Some([&*small; 4].join(",")));
}

#[test]
fn a_root_has_no_state_and_its_ids_are_never_zero() {
    let root = TraceContext::root(TraceId::new(0), SpanId::new(0), Sampling::Dropped);
    assert_eq!(
        root.traceparent(),
        "00-00000000000000000000000000000001-0000000000000001-00"
    );
    assert_eq!(root.tracestate(), None);
    assert!(root.sampled(Sampling::Recorded).is_sampled());
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(trace: u128, span: u64, recorded: bool, state in "([a-z][a-z0-9]{0,5}=[!-+]{1,9},?){0,5}") {
        let sampling = if recorded { Sampling::Recorded } else { Sampling::Dropped };
        let root = TraceContext::root(TraceId::new(trace), SpanId::new(span), sampling);
        let again = TraceContext::parse(&root.traceparent(), Some(&state)).expect("sound");
        prop_assert_eq!((again.trace_id(), again.span_id(), again.is_sampled()), (TraceId::new(trace), SpanId::new(span), recorded));
        prop_assert_eq!(TraceContext::parse(&again.traceparent(), again.tracestate()), Some(again));
    }

    #[test]
    fn any_text_is_read_or_passed_over_and_what_goes_on_is_sound(parent in "\\PC{0,70}", state in "\\PC{0,700}") {
        for parent in [parent.as_str(), PARENT] {
            if let Some(context) = TraceContext::parse(parent, Some(&state)) {
                let state = context.tracestate();
                prop_assert!(state.is_none_or(|state| state.len() <= MAX_BYTES));
                prop_assert_eq!(TraceContext::parse(&context.traceparent(), state), Some(context.clone()));
            }
        }
    }

    #[test]
    fn a_long_state_keeps_whole_members_in_their_order(lengths in prop::collection::vec(1_usize..200, 1..MAX_MEMBERS)) {
        let members: Vec<String> = lengths.iter().enumerate().map(|(index, length)| format!("k{index}={}", "v".repeat(*length))).collect();
        let text = members.join(",");
        let kept = state(&text).unwrap_or_default();
        prop_assert!(kept.len() <= MAX_BYTES);
        prop_assert_eq!(kept.len() == text.len(), text.len() <= MAX_BYTES);
        let mut rest = members.iter();
        for member in kept.split(',').filter(|member| !member.is_empty()) {
            prop_assert!(rest.any(|original| original == member), "{} is new or out of order", member);
        }
    }

    #[test]
    fn one_wrong_byte_is_noticed(at in 0_usize..55, byte in "[^0-9a-f-]") {
        let mut text = PARENT.to_owned();
        text.replace_range(at..=at, &byte);
        prop_assert_eq!(TraceContext::parse(text.trim(), None), None, "{}", text);
    }
}
