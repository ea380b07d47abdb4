from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

from django.db import connection

from two_factor.mail import senders

# PostgreSQL takes 100 connections unless told otherwise, and each thread has its own.
THREADS = 16


def in_parallel(times: int, function) -> list:
    """Call ``function`` so often from several threads at once; return its results.

    Exceptions are among the results.
    """
    threads = min(times, THREADS)
    barrier = Barrier(threads)

    def work(calls):
        barrier.wait()
        try:
            return [result_of(function) for _ in calls]
        finally:
            connection.close()

    shares = [range(thread, times, threads) for thread in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        return [result for results in pool.map(work, shares) for result in results]


def result_of(function):
    try:
        return function()
    except Exception as error:
        return error


def finish_mail():
    """Wait until the threads that send mail have nothing left to do."""
    senders().shutdown()
    senders.cache_clear()
