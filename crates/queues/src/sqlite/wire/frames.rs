//! Every request and answer, field by field.

use std::io;

use super::{
    super::{
        fault::Fault,
        ledger::{Mark, Seq},
        protocol::{Answer, Claim, Given, Reply, Request},
    },
    broken,
    pieces::{In, Out},
};
use crate::{Again, Browsed, Put, QueueSpec, QueueStats, Retention, Settle};

pub(super) fn encode_request(request: &Request, out: &mut Out) {
    match request {
        Request::Declare(specs) => {
            out.u8(1);
            out.list(specs, |out, spec| {
                out.text(&spec.name);
                out.u8(spec.retention.is_some().into());
                let retention = spec.retention.unwrap_or_default();
                out.u8(retention.keep.is_some().into());
                out.duration(retention.keep.unwrap_or_default());
                out.option(retention.max);
            });
        }
        Request::Exists(queue) => {
            out.u8(2);
            out.text(queue);
        }
        Request::Put { answered, messages } => {
            out.u8(3);
            out.u64(*answered);
            out.list(messages, put);
        }
        Request::Consume {
            consumer,
            queue,
            credit,
        } => {
            out.u8(4);
            out.u64(*consumer);
            out.text(queue);
            out.u64(*credit);
        }
        Request::Credit { consumer, credit } => {
            out.u8(5);
            out.u64(*consumer);
            out.u64(*credit);
        }
        Request::End { consumer } => {
            out.u8(6);
            out.u64(*consumer);
        }
        Request::Poll => out.u8(7),
        Request::Settle { claim: it, how } => {
            out.u8(8);
            claim(out, *it);
            match how {
                Settle::Done => out.u8(0),
                Settle::Again(again) => {
                    out.u8(1);
                    out.duration(again.after);
                    out.option(again.attempt.map(u64::from));
                    out.u8(again.counted.into());
                }
            }
        }
        Request::Forward { claim: it, outputs } => {
            out.u8(9);
            claim(out, *it);
            out.list(outputs, put);
        }
        Request::Stats => out.u8(10),
        Request::Browse { queue, after, limit } => {
            out.u8(11);
            out.text(queue);
            out.option(*after);
            out.u64(*limit);
        }
        Request::Take { queue, position } => {
            out.u8(12);
            out.text(queue);
            out.u64(*position);
        }
        Request::Present(held) => {
            out.u8(13);
            out.list(held, |out, (it, consumer)| {
                claim(out, *it);
                out.u64(*consumer);
            });
        }
        Request::Renew => out.u8(14),
        Request::Leave => out.u8(15),
        #[cfg(test)]
        Request::Panic => out.u8(255),
    }
}

pub(super) fn decode_request(from: &mut In<'_>) -> io::Result<Request> {
    Ok(match from.u8()? {
        1 => Request::Declare(from.list(|from| {
            let name = from.text()?;
            let given = from.flag()?;
            let (limited, keep) = (from.flag()?, from.duration()?);
            let retention = Retention {
                keep: limited.then_some(keep),
                max: from.option()?,
            };
            Ok(QueueSpec {
                name,
                retention: given.then_some(retention),
            })
        })?),
        2 => Request::Exists(from.text()?),
        3 => Request::Put {
            answered: from.u64()?,
            messages: from.list(get_put)?,
        },
        4 => Request::Consume {
            consumer: from.u64()?,
            queue: from.text()?,
            credit: from.u64()?,
        },
        5 => Request::Credit {
            consumer: from.u64()?,
            credit: from.u64()?,
        },
        6 => Request::End { consumer: from.u64()? },
        7 => Request::Poll,
        8 => Request::Settle {
            claim: get_claim(from)?,
            how: match from.u8()? {
                0 => Settle::Done,
                1 => Settle::Again(Again {
                    after: from.duration()?,
                    attempt: from.option()?.map(small).transpose()?,
                    counted: from.flag()?,
                }),
                _ => return Err(broken("a frame settles in no known way")),
            },
        },
        9 => Request::Forward {
            claim: get_claim(from)?,
            outputs: from.list(get_put)?,
        },
        10 => Request::Stats,
        11 => Request::Browse {
            queue: from.text()?,
            after: from.option()?,
            limit: from.u64()?,
        },
        12 => Request::Take {
            queue: from.text()?,
            position: from.u64()?,
        },
        13 => Request::Present(from.list(|from| Ok((get_claim(from)?, from.u64()?)))?),
        14 => Request::Renew,
        15 => Request::Leave,
        _ => return Err(broken("a frame asks for something unknown")),
    })
}

pub(super) fn encode_answer(answer: &Answer, out: &mut Out) {
    match answer {
        Answer::Given(it) => {
            out.u8(1);
            given(out, it);
        }
        Answer::Reply(id, reply) => {
            out.u8(2);
            out.u64(*id);
            match reply {
                Reply::Done => out.u8(1),
                Reply::Exists(exists) => {
                    out.u8(2);
                    out.u8((*exists).into());
                }
                Reply::Stats(stats) => {
                    out.u8(3);
                    out.list(stats, |out, stats| {
                        out.text(&stats.name);
                        out.option(stats.depth);
                        out.option(stats.in_flight);
                        out.option(stats.delayed);
                        out.u8(stats.oldest.is_some().into());
                        out.duration(stats.oldest.unwrap_or_default());
                        out.option(stats.consumers);
                    });
                }
                Reply::Browsed(found) => {
                    out.u8(4);
                    out.list(found, |out, browsed| {
                        out.u64(browsed.position);
                        out.body(&browsed.body);
                        out.u8(browsed.in_flight.into());
                    });
                }
                Reply::Taken(taken) => {
                    out.u8(5);
                    out.u8(taken.is_some().into());
                    if let Some(it) = taken {
                        given(out, it);
                    }
                }
                Reply::Refused(it) => {
                    out.u8(6);
                    fault(out, it);
                }
            }
        }
    }
}

pub(super) fn decode_answer(from: &mut In<'_>) -> io::Result<Answer> {
    match from.u8()? {
        1 => Ok(Answer::Given(get_given(from)?)),
        2 => Ok(Answer::Reply(
            from.u64()?,
            match from.u8()? {
                1 => Reply::Done,
                2 => Reply::Exists(from.flag()?),
                3 => Reply::Stats(from.list(|from| {
                    Ok(QueueStats {
                        name: from.text()?,
                        depth: from.option()?,
                        in_flight: from.option()?,
                        delayed: from.option()?,
                        oldest: {
                            let (known, age) = (from.flag()?, from.duration()?);
                            known.then_some(age)
                        },
                        consumers: from.option()?,
                    })
                })?),
                4 => Reply::Browsed(from.list(|from| {
                    Ok(Browsed {
                        position: from.u64()?,
                        body: from.body()?,
                        in_flight: from.flag()?,
                    })
                })?),
                5 => Reply::Taken(if from.flag()? { Some(get_given(from)?) } else { None }),
                6 => Reply::Refused(get_fault(from)?),
                _ => return Err(broken("a frame answers with something unknown")),
            },
        )),
        _ => Err(broken("a frame answers with something unknown")),
    }
}

fn put(out: &mut Out, put: &Put) {
    out.text(&put.queue);
    out.body(&put.body);
}

fn get_put(from: &mut In<'_>) -> io::Result<Put> {
    Ok(Put::new(from.text()?, from.body()?))
}

fn claim(out: &mut Out, claim: Claim) {
    out.u64(claim.seq.bits());
    out.u64(claim.token);
}

fn get_claim(from: &mut In<'_>) -> io::Result<Claim> {
    Ok(Claim {
        seq: Seq::from_row(from.u64()?.cast_signed()),
        token: from.u64()?,
    })
}

fn given(out: &mut Out, given: &Given) {
    out.u64(given.consumer);
    claim(out, given.claim);
    out.u32(given.mark.deliveries);
    out.option(given.mark.attempt.map(u64::from));
    out.body(&given.body);
}

fn get_given(from: &mut In<'_>) -> io::Result<Given> {
    let (consumer, claim) = (from.u64()?, get_claim(from)?);
    let mark = Mark {
        deliveries: from.u32()?,
        attempt: from.option()?.map(small).transpose()?,
        token: claim.token,
    };
    Ok(Given {
        consumer,
        claim,
        mark,
        body: from.body()?,
    })
}

fn small(number: u64) -> io::Result<u32> {
    u32::try_from(number).map_err(|_| broken("a frame's number is too large"))
}

fn fault(out: &mut Out, fault: &Fault) {
    match fault {
        Fault::NoQueue(queue) => {
            out.u8(1);
            out.text(queue);
        }
        Fault::TooLarge { queue, bytes, limit } => {
            out.u8(2);
            out.text(queue);
            out.u64(*bytes);
            out.u64(*limit);
        }
        Fault::LeaseLost => out.u8(3),
        Fault::Full(cause) => {
            out.u8(4);
            out.text(cause);
        }
        Fault::Unusable { why, cause } => {
            out.u8(5);
            out.text(why);
            out.text(cause);
        }
        Fault::Unavailable { why, cause } => {
            out.u8(6);
            out.text(why);
            out.text(cause);
        }
        Fault::Closed => out.u8(7),
    }
}

fn get_fault(from: &mut In<'_>) -> io::Result<Fault> {
    Ok(match from.u8()? {
        1 => Fault::NoQueue(from.text()?),
        2 => Fault::TooLarge {
            queue: from.text()?,
            bytes: from.u64()?,
            limit: from.u64()?,
        },
        3 => Fault::LeaseLost,
        4 => Fault::Full(from.text()?.to_string()),
        5 => Fault::Unusable {
            why: from.text()?.to_string(),
            cause: from.text()?.to_string(),
        },
        6 => Fault::Unavailable {
            why: from.text()?.to_string(),
            cause: from.text()?.to_string(),
        },
        7 => Fault::Closed,
        _ => return Err(broken("a frame refuses for an unknown reason")),
    })
}
