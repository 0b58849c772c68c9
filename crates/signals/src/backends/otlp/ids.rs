//! Ids of traces and spans as OTLP wants them.
//!
//! A W3C id stays as it is; any other is hashed, the same everywhere and for ever, and kept as an attribute.

use opentelemetry_proto::tonic::common::v1::KeyValue;
use uuid::Uuid;

use super::value::text;

/// What hashes are made in.
const TRACES: Uuid = Uuid::from_u128(0x51b7_f2b9_8f0e_4c1d_a5a3_94c6_0d7e_2b61);
const SPANS: Uuid = Uuid::from_u128(0x0f66_c1de_3a94_4e7b_8d02_7be1_5c48_f9a7);

/// The 16 bytes of a trace's id; `attributes` gets the original where it is another.
pub(super) fn trace(id: &str, attributes: &mut Vec<KeyValue>) -> Vec<u8> {
    w3c::<16>(id).unwrap_or_else(|| {
        attributes.push(text("signal.trace_id", id));
        Uuid::new_v5(&TRACES, id.as_bytes()).as_bytes().to_vec()
    })
}

/// The 8 bytes of a span's id; `attributes` gets the original below `key` where it is another.
pub(super) fn span(id: &str, key: &str, attributes: &mut Vec<KeyValue>) -> Vec<u8> {
    w3c::<8>(id).unwrap_or_else(|| {
        attributes.push(text(key, id));
        Uuid::new_v5(&SPANS, id.as_bytes()).as_bytes()[..8].to_vec()
    })
}

/// The bytes of an id in hexadecimal digits; all zeros are no id.
fn w3c<const BYTES: usize>(id: &str) -> Option<Vec<u8>> {
    if id.len() != 2 * BYTES || !id.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let bytes: Vec<u8> = (0..BYTES)
        .filter_map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).ok())
        .collect();
    bytes.iter().any(|byte| *byte != 0).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_w3c_id_stays_and_any_other_is_hashed_and_kept() {
        let mut kept = Vec::new();
        let id = trace("4bf92f3577b34da6a3ce929d0e0e4736", &mut kept);
        assert_eq!((id[0], id[15], id.len()), (0x4b, 0x36, 16));
        assert_eq!(
            span("00f067aa0ba902b7", "signal.span_id", &mut kept),
            [0, 0xf0, 0x67, 0xaa, 0x0b, 0xa9, 2, 0xb7]
        );
        assert_eq!(kept, []);
        let other = trace("job-7", &mut kept);
        // For ever: spans of one trace may go through several processes.
        assert_eq!(other, 0x324c_86cf_ab54_51f2_a94d_4bdf_75a4_c5d9_u128.to_be_bytes());
        assert_eq!(kept, [text("signal.trace_id", "job-7")]);
        for odd in ["0".repeat(32), "g".repeat(32), "ü".repeat(16)] {
            assert_eq!(trace(&odd, &mut kept).len(), 16);
        }
        assert_eq!(kept.len(), 4);
    }
}
