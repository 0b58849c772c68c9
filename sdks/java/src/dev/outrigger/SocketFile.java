package dev.outrigger;

import java.io.IOException;
import java.net.ConnectException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.FileSystemException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.NoSuchFileException;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.concurrent.ThreadLocalRandom;

/**
 * The socket's file: made so that only its owner can ever connect, and taken away only by whoever made it.
 *
 * <p>Java has no file mode to bind with. The socket is made in a folder that nobody else may enter, gets its mode there, and
 * is then moved to its place: whoever finds it there finds it listening and 0600.
 */
final class SocketFile {
    private static final int MAX_PATH = 100;
    private static final int BACKLOG = 128;
    private static final int NAME_RADIX = 36;
    private static final int NAMES = NAME_RADIX * NAME_RADIX * NAME_RADIX;
    private static final int ATTEMPTS = 10;

    final ServerSocketChannel channel;
    private final Path path;
    private final Object identity;
    private boolean closed;

    private SocketFile(Path path, ServerSocketChannel channel) throws IOException {
        this.path = path;
        this.channel = channel;
        this.identity = identity(path);
    }

    static SocketFile make(String place) throws StartException {
        int length = place.getBytes(StandardCharsets.UTF_8).length;
        if (length > MAX_PATH) {
            throw new StartException(
                    "the socket's path has " + length + " bytes, at most " + MAX_PATH + " are possible: " + place);
        }
        Path path = Path.of(place);
        makeRoom(path);
        try {
            return new SocketFile(path, bind(path));
        } catch (IOException error) {
            throw new StartException("cannot make the socket " + path + ": " + reason(error), StartException.CANNOT_CREATE);
        }
    }

    /** Stops listening and removes the file, unless somebody else's stands there by now. */
    synchronized void close() {
        if (closed) {
            return;
        }
        closed = true;
        try {
            if (identity(path).equals(identity)) {
                Files.delete(path);
            }
        } catch (IOException error) {
            // Gone already, with its folder perhaps.
        }
        try {
            channel.close();
        } catch (IOException error) {
            // Nothing of it is left to be closed.
        }
    }

    private static ServerSocketChannel bind(Path path) throws IOException {
        Path room = privateFolder(path);
        Path draft = room.resolve("s");
        ServerSocketChannel channel = ServerSocketChannel.open(StandardProtocolFamily.UNIX);
        try {
            channel.bind(UnixDomainSocketAddress.of(draft), BACKLOG);
            Files.setPosixFilePermissions(draft, PosixFilePermissions.fromString("rw-------"));
            Files.move(draft, path, StandardCopyOption.ATOMIC_MOVE);
            return channel;
        } catch (IOException | RuntimeException error) {
            channel.close();
            Files.deleteIfExists(draft);
            throw error;
        } finally {
            Files.delete(room);
        }
    }

    /** A new folder beside {@code path}. Its name is short: the JDK takes socket paths of at most 106 bytes. */
    private static Path privateFolder(Path path) throws IOException {
        var ownersAlone = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"));
        for (int attempt = 1; ; attempt++) {
            String name = Integer.toString(ThreadLocalRandom.current().nextInt(NAMES), NAME_RADIX);
            try {
                return Files.createDirectory(path.resolveSibling("." + name), ownersAlone);
            } catch (FileAlreadyExistsException taken) {
                if (attempt == ATTEMPTS) {
                    throw taken;
                }
            }
        }
    }

    /** Removes what a process that is no more has left; refuses where anything else stands. */
    private static void makeRoom(Path path) throws StartException {
        try {
            if (!Files.readAttributes(path, BasicFileAttributes.class, LinkOption.NOFOLLOW_LINKS).isOther()) {
                String message = path + " exists and is not a socket: remove it, or choose another path";
                throw new StartException(message, StartException.CANNOT_CREATE);
            }
        } catch (IOException error) {
            return;
        }
        try (SocketChannel probe = SocketChannel.open(StandardProtocolFamily.UNIX)) {
            // A blocking one would wait where the backlog is full.
            probe.configureBlocking(false);
            probe.connect(UnixDomainSocketAddress.of(path));
        } catch (ConnectException error) {
            remove(path);
            return;
        } catch (IOException error) {
            if (!Files.isWritable(path)) {
                String message = "cannot use the socket " + path + ": " + reason(error);
                throw new StartException(message, StartException.CANNOT_CREATE);
            }
            // A full backlog: alive, and busy.
        }
        String message = "another process is serving on " + path + ": stop it, or choose another path";
        throw new StartException(message, StartException.CANNOT_CREATE);
    }

    private static void remove(Path path) throws StartException {
        try {
            Files.deleteIfExists(path);
        } catch (IOException error) {
            throw new StartException("cannot replace " + path + ": " + reason(error), StartException.CANNOT_CREATE);
        }
    }

    private static Object identity(Path path) throws IOException {
        return Files.readAttributes(path, "unix:dev,ino", LinkOption.NOFOLLOW_LINKS);
    }

    private static String reason(IOException error) {
        if (error instanceof NoSuchFileException) {
            return "No such file or directory";
        }
        boolean told = error instanceof FileSystemException file && file.getReason() != null;
        return told ? ((FileSystemException) error).getReason() : String.valueOf(error.getMessage());
    }
}
