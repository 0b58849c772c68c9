package dev.outrigger;

import java.io.IOException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SocketChannel;

/**
 * Frames on a stream socket: a big-endian u32 length, then that many bytes of text.
 *
 * <p>Bit 31 of the length marks a control frame. A large body passes through a buffer in pieces: the JDK would take as much
 * memory outside its heap again for a body in one go. What the text means is for others.
 */
final class Frames {
    static final int DEFAULT_CAP = 256 * 1024 * 1024;
    private static final int CONTROL = 0x8000_0000;
    private static final int CHUNK = 64 * 1024;
    private static final int SOCKET_BUFFER = 4 * 1024 * 1024;

    private Frames() {}

    /** The peer closed in the middle of a frame. */
    static final class CutShort extends IOException {
        private static final long serialVersionUID = 1;

        CutShort(String message) {
            super(message);
        }
    }

    /** One frame as it came; where it is over the cap there is no body, and {@code unread} bytes still stand in the stream. */
    static final class Frame {
        final boolean control;
        final int size;
        final int unread;
        private byte[] body;

        private Frame(boolean control, byte[] body, int unread) {
            this.control = control;
            this.size = body.length;
            this.unread = unread;
            this.body = body;
        }

        /** The body, given away: a large one is not held for as long as the handler works. */
        byte[] take() {
            byte[] taken = body;
            body = null;
            return taken;
        }
    }

    /** Reads frame after frame from one socket, for one thread. */
    static final class Reader {
        private final SocketChannel channel;
        private final int cap;
        private final ByteBuffer held = ByteBuffer.allocateDirect(CHUNK).flip();

        Reader(SocketChannel channel, int cap) {
            this.channel = channel;
            this.cap = cap;
        }

        /** The next frame; null when the peer closed between two. */
        Frame read() throws IOException {
            while (held.remaining() < 4) {
                if (!more()) {
                    if (held.hasRemaining()) {
                        throw new CutShort("the connection ended " + held.remaining() + " bytes into a frame's length");
                    }
                    return null;
                }
            }
            int head = held.getInt();
            boolean control = (head & CONTROL) != 0;
            int size = head & ~CONTROL;
            if (size > cap) {
                return new Frame(control, new byte[0], size);
            }
            byte[] body = new byte[size];
            int got = 0;
            while (got < size) {
                if (!held.hasRemaining() && !more()) {
                    throw new CutShort("the connection ended " + got + " bytes into a frame of " + size);
                }
                int step = Math.min(size - got, held.remaining());
                held.get(body, got, step);
                got += step;
            }
            return new Frame(control, body, 0);
        }

        /** Passes over {@code size} bytes of a frame that is not wanted. */
        void skip(int size) throws IOException {
            int left = size;
            while (left > 0) {
                if (!held.hasRemaining() && !more()) {
                    throw new CutShort("the connection ended " + left + " bytes before the end of a frame");
                }
                int step = Math.min(left, held.remaining());
                held.position(held.position() + step);
                left -= step;
            }
        }

        private boolean more() throws IOException {
            held.compact();
            try {
                return channel.read(held) >= 0;
            } finally {
                held.flip();
            }
        }
    }

    /** Writes frames to one socket, each whole, for any thread. */
    static final class Writer {
        private final SocketChannel channel;
        private final ByteBuffer piece = ByteBuffer.allocateDirect(CHUNK);

        Writer(SocketChannel channel) {
            this.channel = channel;
        }

        /** Writes one frame; length and body of a small one leave in one call. */
        synchronized void write(byte[] body, boolean control) throws IOException {
            // A handler that was interrupted by its own code still has a connection: the channel would close itself.
            boolean interrupted = Thread.interrupted();
            try {
                piece.clear().putInt(control ? body.length | CONTROL : body.length);
                int done = 0;
                do {
                    int step = Math.min(body.length - done, piece.remaining());
                    piece.put(body, done, step).flip();
                    done += step;
                    while (piece.hasRemaining()) {
                        channel.write(piece);
                    }
                    piece.clear();
                } while (done < body.length);
            } finally {
                if (interrupted) {
                    Thread.currentThread().interrupt();
                }
            }
        }
    }

    /** Asks for socket buffers that carry large bodies in few steps; the system may grant less. */
    static void widen(SocketChannel channel) throws IOException {
        channel.setOption(StandardSocketOptions.SO_SNDBUF, SOCKET_BUFFER);
        channel.setOption(StandardSocketOptions.SO_RCVBUF, SOCKET_BUFFER);
    }
}
