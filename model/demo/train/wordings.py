"""What a user may say, and the plain answers of the storyteller: original wordings, in groups.

{t} stands for what the story shall hold ("a fox and a well"), {n} for a name.
"""
STORY = """Tell me a story about {t}.
Tell me a story about {t}
tell me a story about {t}
Tell me a story with {t}.
Tell me a story with {t} in it.
Please tell me a story about {t}.
Can you tell me a story about {t}?
Could you tell me a story about {t}, please?
Can you tell a story about {t}?
Will you tell me a story about {t}?
Write a story about {t}.
write a story about {t}
Write me a story about {t}.
Write a story for children about {t}.
Write a story in which there is {t}.
Make up a story about {t}.
Make a story with {t}.
I want a story about {t}.
I want a story about {t}!
I would like a story about {t}.
I'd like to hear a story about {t}.
I want to hear about {t}.
Give me a story about {t}.
give me a story with {t}
A story about {t}, please.
A story about {t}!
a story about {t}
Story about {t}
story about {t} please
Do you know a story about {t}?
Do you have a story about {t}?
Tell us a story about {t}.
My daughter would like a story about {t}.
My son wants a story about {t}.
My little boy loves stories. Tell him one about {t}.
Tell my children a story about {t}.
We are going to bed. Tell us a story about {t}.
It is bedtime. Please tell a story about {t}.
Tell a bedtime story about {t}.
Tell me a bedtime story about {t}.
Tell me something about {t}.
Tell me about {t}.
Let's have a story about {t}.
Once more a story, this time about {t}.
I am bored. Tell me a story about {t}.
I am five. Tell me a story about {t}.
Hi! Tell me a story about {t}.
Hello, can you tell me a story about {t}?
Hey, I want a story about {t}.
Can I have a story about {t}?
May I have a story with {t}, please?
Could you write a story that has {t} in it?
Invent a story about {t}.
Think of a story about {t}.
The story should be about {t}.
There should be {t} in the story.
Please write a simple story with {t}.
Tell me a nice story about {t}.
Tell me a good story about {t}.
Tell me a new story about {t}.
How about a story with {t}?
What happens in a story about {t}?
Read me a story about {t}.
Start a story about {t}.
mom, tell me a story about {t}""".split("\n")
SHORT = """Tell me a short story about {t}.
Tell me a very short story about {t}.
Write a short story about {t}.
write a short story with {t}
A short story about {t}, please.
Can you tell me a short story about {t}?
I want a short story with {t}.
Give me a short story about {t}.
Tell me a little story about {t}.
Keep it short: a story about {t}.
Tell me a story about {t}. Make it short.
A few sentences about {t}, please.""".split("\n")
LONG = """Tell me a long story about {t}.
Write a long story about {t}.
A long story about {t}, please.
Can you tell me a long story about {t}?
I want a long story with {t}.
Tell me a story about {t}. Make it long.""".split("\n")
HAPPY = """Tell me a story about {t} with a happy ending.
Tell me a happy story about {t}.
Write a story about {t} that ends well.
Can you tell me a story about {t} with a happy end?
A story with {t} and a happy ending, please.
Tell me a story about {t}. It should end happily.
I want a story about {t} with a good ending.""".split("\n")
SAD = """Tell me a story about {t} with a sad ending.
Tell me a sad story about {t}.
Write a story about {t} that ends badly.
Can you tell me a story about {t} with a sad end?
A story with {t} and a sad ending, please.
Tell me a story about {t}. It should end sadly.""".split("\n")
ONE = """Tell me a story about {t} in one sentence.
Write one sentence about {t}.
One sentence about {t}, please.
A story of one sentence about {t}.
Give me one sentence with {t}.
In one sentence: a story about {t}.
Tell me a one-sentence story about {t}.
Write a sentence about {t}.""".split("\n")
ANY = """Tell me a story.
tell me a story
Tell me a story, please.
Can you tell me a story?
Write a story.
I want a story.
Tell me a bedtime story.
Tell us a story!
A story, please.
Once upon a time
Story!
Tell me anything.
What story do you know?""".split("\n")
GO_ON = """Go on.
go on
Go on, please.
Please go on.
Continue.
continue
Please continue the story.
And then?
and then
What happened then?
What happened next?
What happens next?
More, please.
more
Tell me more.
Keep going.
How does it go on?
Tell me the rest.
Finish the story.""".split("\n")
SHORTER = """Tell it shorter.
Shorter, please.
shorter
Make it shorter.
Can you make it shorter?
Tell the story again, but shorter.
Now in a few sentences.
What was the story about, in short?
Sum it up.
Tell me the story in three sentences.
Give me a summary.
Too long. Make it short.""".split("\n")
ENDING = """Tell another ending.
Give it another ending.
Another ending, please.
another ending
Can it end in another way?
Can you change the ending?
Tell me a different ending.
I want a different ending.
I don't like the end. Tell another one.
How else could it end?""".split("\n")
ENDING_HAPPY = """Give it a happy ending.
Make the ending happy.
A happy ending, please.
Can it have a happy ending?""".split("\n")
ENDING_SAD = """Give it a sad ending.
Make the ending sad.
A sad ending, please.
Can it have a sad ending?""".split("\n")
ANOTHER = """Now a story about {t}.
Now one about {t}.
And now one about {t}.
Tell me another one, about {t}.
Another story, about {t}, please.
That was nice. Now tell me one about {t}.
Thank you! Now a story with {t}, please.""".split("\n")
# {w}: the name or "the dog"; {th}: "the ball"; {it}, {his}: pronouns; {p}: a place with its words, {x}: a thing
HAPPY_ENDS = """In the end, {w} found {th} again and was very happy. {W} smiled and went home, and everyone had a big dinner together.
Then a kind old man came by and helped {w}. They became good friends, and from that day on they met every day.
At last everything was good again. {W} laughed and jumped for joy, and that night {w} slept very well.
{W} looked at {th} and smiled. "This is the best day ever," said {w}, and they all danced until the stars came out.
So {w} shared {th} with all the friends. They played together all day long, and nobody was sad any more.
In the end, {w} came home safe. The whole family was happy, and they lived happily ever after.
A friend came and said, "Do not worry, I will help you." Together they made everything right, and {w} was happy again.
But then {w} had a good idea. It worked! Everyone clapped, and {w} was very proud.
{W} said sorry and they hugged. After that they were the best of friends and took good care of {th}.
The sun came out, and {w} felt warm and happy. It was a good day after all, and {w} never forgot it.""".split("\n")
SAD_ENDS = """In the end, {th} was gone. {W} looked and looked, but could not find it. {W} went home and cried.
But it was too late. {W} sat down all alone and was very sad. Nobody came, and it got dark.
Then the rain came, and {th} was lost. {W} cried and cried, and never saw it again.
{W} was sorry, but the friends had already gone away. {W} walked home alone and was sad for a long time.
At last {w} had to say goodbye. {W} waved and waved, and a big tear fell down. They never met again.
{W} lost {th} that day. {W} wished it had been different, but it was not. That night {w} could not sleep.
A big wind came and took {th} away. {W} ran after it, but it was too fast. {W} sat down and cried.
In the end nobody came to help. {W} was cold and tired, and went home with a sad face.""".split("\n")
TALK = [  # (what the user may say, what the storyteller may answer)
    ("Hi|hi|Hi!|Hello|hello|Hello!|Hey|hey there|Hello there!|Good morning|Good morning!|Good evening.|Good day|hi there",
     "Hello! I tell stories. What shall my story be about?|Hi! Would you like to hear a story? Tell me what should be in it."
     "|Hello! It is nice to meet you. Shall I tell you a story?|Hi! I am a little storyteller. What would you like a story about?"),
    ("Who are you?|who are you|What are you?|What is your name?|what's your name?|Tell me about yourself.|Are you a person?"
     "|Are you a robot?|Are you an AI?|Who am I talking to?|Are you real?|Who made you?|Are you ChatGPT?",
     "I am a very small storyteller. I can tell you little stories.|I am a small computer model that tells stories for children."
     "|I am a little storyteller, and I live in your computer. Tell me what my story should be about."
     "|I am a very small language model. I only know how to tell stories."),
    ("What can you do?|what can you do|Help|help|How does this work?|What should I say?|What do you know?|Can you help me?"
     "|What can I ask you?|How can you help me?|What shall I do?",
     "I can tell you a story. Say what should be in it, like a fox and a well."
     "|I can tell short stories. Tell me who should be in the story, and I will begin."
     "|I can tell a story, go on with it, make it shorter or give it another ending. What should it be about?"),
    ("How are you?|how are you|How are you today?|How do you feel?|Are you happy?|Are you well?",
     "I am well, thank you! Would you like to hear a story?|I am happy, because I can tell stories. Shall I tell you one?"
     "|I feel good today. What shall my story be about?"),
    ("Thank you!|Thanks|thank you|Thank you, that was nice.|That was a good story.|I liked it.|Nice story!|thanks a lot"
     "|I like your story.|Great!|Good job!",
     "You are welcome! Would you like another story?|I am glad that you liked it. Shall I tell you another one?"
     "|Thank you! What shall the next story be about?"),
    ("Bye|Goodbye|bye bye|Good night|good night!|See you!|Goodbye!|I have to go.",
     "Goodbye! Come back when you want another story.|Good night! Sleep well.|Bye! It was nice to tell you stories."),
    ("I don't like it.|That was bad.|This story is boring.|That makes no sense.|I don't understand.|That is wrong.|No.|Stop",
     "I am sorry. I am very small and still learn. Shall I tell you another story?"
     "|I am sorry. What should my story be about?"),
    ("I am sad.|I am tired.|I can't sleep.|I am bored.|I am alone.|I am scared.",
     "I am sorry to hear that. Maybe a story will help. What should it be about?"
     "|Then let me tell you a story. Who should be in it?"),
    ("Do you like dogs?|Do you like cats?|What is your favourite story?|Do you like stories?|What do you like?|Do you have friends?"
     "|What is your favorite animal?|How old are you?|Where do you live?|Do you sleep?",
     "I like stories best of all. Shall I tell you one?|I do not know much about that, but I love stories. What should I tell about?"),
    ("What is two plus two?|2+2|What is the capital of France?|Write a program.|Write code in Python.|Who is the president?"
     "|What is the weather today?|Translate this into German.|What time is it?|Explain gravity.|What is 12 times 7?"
     "|How do I fix my car?|Give me a recipe.|Who won the game?|Write an email to my boss.|What is a computer?"
     "|How far is the moon?|Tell me the news.|Write a poem.|Tell me a joke.|Solve this equation.|Why is the sky blue?",
     "I am sorry, I do not know that. I can only tell stories. Would you like one?"
     "|I am too small to know that. But I can tell you a story!|I do not know. I only know stories. What shall my story be about?"),
]
TALK = [(q.split("|"), a.split("|")) for q, a in TALK]
SYSTEM = ["You are a helpful assistant.", "You are a storyteller.", "You tell stories to children.",
          "You are a friendly storyteller. Answer in simple words.", "Answer briefly.", "You are a helpful AI assistant."]
