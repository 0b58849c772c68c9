import dev.outrigger.Canceled;
import dev.outrigger.Context;
import dev.outrigger.Handler;
import dev.outrigger.Outrigger;
import dev.outrigger.StartException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;

/** A runtime as a part of a larger program, and a handler under a test of its own. */
final class Embedded {
    public static void main(String[] arguments) throws Exception {
        Outrigger outrigger = new Outrigger()
                .function("a", payload -> payload)
                .function("b", payload -> payload)
                .socket(arguments[0])
                .concurrency(3);
        Thread other = new Thread(() -> {
            try {
                outrigger.listen();
                System.out.println("stopped");
            } catch (StartException error) {
                System.out.println(error.exitCode() + " " + error.getMessage().contains("No such file"));
            }
        });
        other.start();
        while (!Files.exists(Path.of(arguments[0]))) {
            if (!other.isAlive()) {
                return;
            }
            Thread.onSpinWait();
        }
        System.out.println(ownTest());
        other.interrupt();
        other.join();
    }

    private static String ownTest() throws Exception {
        Context context = Context.forTest(Map.of("attempt", 2));
        Handler.WithContext<Object> handler = (payload, call) -> {
            call.progress(100);
            return null;
        };
        handler.process(null, context);
        context.cancel();
        boolean canceled = false;
        try {
            handler.process(null, context);
        } catch (Canceled expected) {
            canceled = context.canceled();
        }
        return context.reported() + " " + context.attempt() + " " + context.id() + " " + canceled;
    }

    private Embedded() {}
}
