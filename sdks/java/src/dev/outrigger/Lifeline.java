package dev.outrigger;

import java.io.ByteArrayInputStream;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.atomic.AtomicBoolean;

/** Leaves when the parent has gone: an inherited pipe reads its end, however the parent died. */
final class Lifeline {
    private static final String VARIABLE = "OUTRIGGER_HANDLER_LIFELINE";
    private static final AtomicBoolean HELD = new AtomicBoolean();

    private Lifeline() {}

    /** Watches the descriptor that the environment names, if it names one; a second call does nothing. */
    static void hold() throws StartException {
        String text = System.getenv(VARIABLE);
        if (text == null || text.isEmpty() || !HELD.compareAndSet(false, true)) {
            return;
        }
        InputStream pipe = open(text);
        Thread watch = new Thread(() -> watch(pipe), "outrigger-lifeline");
        watch.setDaemon(true);
        watch.start();
    }

    private static InputStream open(String text) throws StartException {
        try {
            int number = Integer.parseInt(text);
            Path place = Path.of("/dev/fd/" + number);
            if (number < 0 || !Files.exists(place)) {
                throw new IOException("it is not open");
            }
            if (number > 0) {
                return new FileInputStream(place.toFile());
            }
            // A handler that reads its input does not take the pipe away.
            System.setIn(new ByteArrayInputStream(new byte[0]));
            return new FileInputStream(FileDescriptor.in);
        } catch (NumberFormatException | IOException error) {
            throw new StartException(VARIABLE + "=" + text + " is not the number of an open pipe");
        }
    }

    private static void watch(InputStream pipe) {
        try {
            byte[] ignored = new byte[4096];
            while (pipe.read(ignored) >= 0) {
                continue;
            }
        } catch (IOException error) {
            // Its end too.
        }
        System.err.println("outrigger: the parent process has gone, leaving");
        long own = ProcessHandle.current().pid();
        try {
            if (group() == own) {
                // The group is ours alone: what the handler has started is not to outlive it.
                new ProcessBuilder("sh", "-c", "kill -s KILL -- -" + own).start().waitFor();
            }
        } catch (IOException | InterruptedException | RuntimeException error) {
            ProcessHandle.current().descendants().forEach(ProcessHandle::destroyForcibly);
        }
        Runtime.getRuntime().halt(1);
    }

    /** The process group, as Linux tells it; 0 where nothing tells it. */
    private static long group() throws IOException {
        Path place = Path.of("/proc/self/stat");
        if (!Files.exists(place)) {
            return 0;
        }
        String stat = Files.readString(place);
        // The name in parentheses may hold anything; state, parent and group stand after it.
        return Long.parseLong(stat.substring(stat.lastIndexOf(')') + 2).split(" ")[2]);
    }
}
